package cost

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// device is a Meter whose written bytes are those of a block device.
type device struct {
	Meter
	stat string // the file with its counters
}

// OnDevice returns m with the bytes that reached the block device of the file
// system that has dir, by whomever they were written. It fails when the file
// system has no single device that can be found, such as tmpfs or a network's.
//
// Only what was flushed counts: to know what a run cost, let the flusher finish
// (sync) before each of its two Samples.
func OnDevice(m Meter, dir string) (Meter, error) {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return nil, fmt.Errorf("device of %s: %w", dir, err)
	}
	stat, err := deviceStat(proc, "/sys/dev/block", dir)
	if err != nil {
		return nil, fmt.Errorf("device of %s: %w", dir, err)
	}
	d := device{Meter: m, stat: stat}
	if _, err := d.written(); err != nil {
		return nil, fmt.Errorf("device of %s: %w", dir, err)
	}
	return d, nil
}

// Sample implements Meter.
func (d device) Sample() (Sample, error) {
	s, err := d.Meter.Sample()
	if err != nil {
		return Sample{}, err
	}
	if s.WrittenBytes, err = d.written(); err != nil {
		return Sample{}, err
	}
	s.WrittenBy = "device"
	return s, nil
}

func (d device) written() (int64, error) {
	data, err := os.ReadFile(d.stat)
	if err != nil {
		return 0, err
	}
	return parseDevice(string(data))
}

// parseDevice reads the sectors written from the counters of a block device
// (Documentation/block/stat.rst of the kernel): the seventh number. A sector is 512
// bytes there, whatever the device's are.
func parseDevice(data string) (int64, error) {
	fields := strings.Fields(data)
	if len(fields) < 7 {
		return 0, errors.New("too few counters of a block device")
	}
	sectors, err := strconv.ParseInt(fields[6], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("sectors written: %w", err)
	}
	return sectors * 512, nil
}

// deviceStat finds the counters of the device of dir: by the number that the file
// system gives its files or, where that is a made-up one (btrfs), by the name that
// is mounted.
func deviceStat(proc procfs.FS, blocks, dir string) (string, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return "", err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", errors.New("unknown on this system")
	}
	number := fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	name := filepath.Join(blocks, number, "stat")
	if _, err := os.Stat(name); err == nil {
		return name, nil
	}
	mounts, err := proc.GetMounts()
	if err != nil {
		return "", err
	}
	for _, m := range mounts {
		if m.MajorMinorVer != number || !strings.HasPrefix(m.Source, "/dev/") {
			continue
		}
		node, err := os.Stat(m.Source)
		if err != nil {
			return "", err
		}
		if st, ok := node.Sys().(*syscall.Stat_t); ok {
			return filepath.Join(blocks, fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev)), "stat"), nil
		}
	}
	return "", errors.New("no block device has this file system")
}
