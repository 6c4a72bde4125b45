package table

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// mappings are the pages as the system knows them.
type mappings struct{ mapped [][]byte }

func (m *mappings) release() {
	for _, b := range m.mapped {
		// Nothing can be done about an error: the memory is not used any more.
		_ = unix.Munmap(b)
	}
}

// mapPage returns a new page, zeroed, or nil when there is no memory. T holds no
// pointer.
func mapPage[T any](m *mappings) *T {
	b, err := unix.Mmap(-1, 0, int(unsafe.Sizeof(*(*T)(nil))), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil
	}
	m.mapped = append(m.mapped, b)
	return (*T)(unsafe.Pointer(unsafe.SliceData(b)))
}
