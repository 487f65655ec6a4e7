//go:build linux

package vm

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/faultline-go/faultline/plugins/internal/vm/guest/order"
)

// pack writes the initial file system of a computer: first as its first process, the test
// binary, the modules, and what is to be done with them.
func (k kernel) pack(file, first, test string, o order.Order) error {
	modules, err := k.closure(wanted)
	if err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	w := &archive{Writer: bufio.NewWriter(f)}
	w.folder("dev")
	w.device("dev/console", 5, 1) // the kernel opens it for the first process
	w.folder(order.Modules[1:])
	for _, m := range modules {
		o.Modules = append(o.Modules, filepath.Base(m))
		w.copy(filepath.Join(order.Modules, filepath.Base(m))[1:], m)
	}
	w.copy("init", first)
	w.copy(order.Command[1:], test)
	raw, err := json.Marshal(o)
	if err != nil {
		return err
	}
	w.file(order.File[1:], raw)
	if err := w.end(); err != nil {
		return fmt.Errorf("pack the initial file system: %w", err)
	}
	return f.Close()
}

// archive is a cpio archive of the form "newc", see the kernel's
// Documentation/driver-api/early-userspace/buffer-format.rst. Errors are kept for end.
type archive struct {
	*bufio.Writer
	n, inode int
	err      error
}

// What an entry is, and who may do what with it.
const (
	isFolder = 0o040755
	isFile   = 0o100755
	isDevice = 0o020600
)

func (w *archive) folder(name string) { w.entry(name, isFolder, 0, 0, nil) }

func (w *archive) device(name string, major, minor int) { w.entry(name, isDevice, major, minor, nil) }

func (w *archive) file(name string, content []byte) { w.entry(name, isFile, 0, 0, content) }

func (w *archive) copy(name, from string) {
	content, err := os.ReadFile(from)
	w.err = errors.Join(w.err, err)
	w.file(name, content)
}

func (w *archive) entry(name string, mode, major, minor int, content []byte) {
	w.inode++
	// Magic, inode, mode, uid, gid, links, mtime, size, device (2), device that it is (2),
	// length of the name with its end, checksum.
	head := fmt.Sprintf("070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		w.inode, mode, 0, 0, 1, 0, len(content), 0, 0, major, minor, len(name)+1, 0)
	w.write([]byte(head + name + "\x00"))
	w.write(content)
}

// write is followed by as much as brings the archive to a multiple of four bytes.
func (w *archive) write(b []byte) {
	n, err := w.Write(b)
	w.n += n
	for ; w.n%4 != 0; w.n++ {
		err = errors.Join(err, w.WriteByte(0))
	}
	w.err = errors.Join(w.err, err)
}

func (w *archive) end() error {
	w.inode = -1
	w.entry("TRAILER!!!", 0, 0, 0, nil)
	return errors.Join(w.err, w.Flush())
}
