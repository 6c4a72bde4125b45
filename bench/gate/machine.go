package gate

import (
	"fmt"
	"math"

	"postrider/bench/result"
)

// memoryTolerance is by how much the memory of the same machine may differ: what
// a kernel reserves for itself changes with its version.
const memoryTolerance = 0.03

// differences names the facts in which machines differ.
func differences(a, b result.Machine) (list []string) {
	for _, f := range []struct{ name, a, b string }{
		{"system", a.OS, b.OS},
		{"kernel", a.Kernel, b.Kernel},
		{"CPU", a.CPU, b.CPU},
		{"cores", fmt.Sprint(a.Cores), fmt.Sprint(b.Cores)},
		{"file system", a.FileSystem, b.FileSystem},
		{"disk", a.Disk, b.Disk},
		{"virtual", a.Virtual, b.Virtual},
	} {
		if f.a != f.b {
			list = append(list, fmt.Sprintf("%s %q and %q", f.name, f.a, f.b))
		}
	}
	if x, y := float64(a.MemoryBytes), float64(b.MemoryBytes); math.Abs(x-y) > memoryTolerance*max(x, y) {
		list = append(list, fmt.Sprintf("memory %.1f and %.1f GiB", x/(1<<30), y/(1<<30)))
	}
	return list
}
