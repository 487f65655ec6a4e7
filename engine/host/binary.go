package host

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/faultline-go/faultline/engine/durable"
	"github.com/faultline-go/faultline/engine/trust"
)

// binary is a plugin's file, open: what is hashed, and then run, is this descriptor,
// whatever happens to the path meanwhile. See seal for what happens to its content.
type binary struct {
	name string
	path string
	file *os.File
	sum  string // SHA-256 in hexadecimal, of the descriptor's content
	size int64  // of what was hashed

	basis  trust.Basis // on what ground it may start; empty: it may not
	any    bool        // name is only that of the file: the plugin may have another
	served bool        // others are to connect to it
	sealed bool        // file is a copy that nobody can change
}

func openBinary(name, path string) (*binary, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open plugin %s: %w", name, err)
	}
	return &binary{name: name, path: path, file: f}, nil
}

func (b *binary) close() { b.file.Close() }

// hash takes the checksum.
func (b *binary) hash() (err error) {
	h := sha256.New()
	if b.size, err = io.Copy(h, io.NewSectionReader(b.file, 0, 1<<62)); err != nil {
		return fmt.Errorf("read plugin %s: %w", b.name, err)
	}
	b.sum = hex.EncodeToString(h.Sum(nil))
	return nil
}

// script says whether the file starts with "#!": its interpreter must be able to
// open it again, so that it inherits the descriptor.
func (b *binary) script() bool {
	var start [2]byte
	_, err := b.file.ReadAt(start[:], 0)
	return err == nil && string(start[:]) == "#!"
}

// machines are the ELF names of what Go calls GOARCH.
var machines = map[string]elf.Machine{
	"386": elf.EM_386, "amd64": elf.EM_X86_64, "arm": elf.EM_ARM, "arm64": elf.EM_AARCH64,
	"loong64": elf.EM_LOONGARCH, "ppc64": elf.EM_PPC64, "ppc64le": elf.EM_PPC64, "riscv64": elf.EM_RISCV, "s390x": elf.EM_S390,
}

// misfit says why the kernel may have refused to run the file.
func (b *binary) misfit() string {
	var start [4]byte
	n, _ := b.file.ReadAt(start[:], 0)
	switch {
	case n == 0:
		return "the file is empty"
	case bytes.HasPrefix(start[:n], []byte("MZ")):
		return "it is a Windows program"
	case bytes.HasPrefix(start[:n], []byte{0xcf, 0xfa, 0xed, 0xfe}):
		return "it is a macOS program"
	}
	f, err := elf.NewFile(b.file)
	if err != nil {
		return "it is no program for this machine"
	}
	for arch, m := range machines {
		if m == f.Machine && m != machines[runtime.GOARCH] {
			return fmt.Sprintf("it is built for %s, this machine is %s", arch, runtime.GOARCH)
		}
	}
	return fmt.Sprintf("it is built for another machine (%s)", f.Machine)
}

// kept is where the copy of a binary is kept.
func (h *Host) kept(name, sum string) string {
	return filepath.Join(h.opts.StateDir, "plugins", sum, Prefix+name)
}

// keep makes a copy of the binary under its checksum in the state folder, unless it
// is there, and returns the copy, open and hashed: whoever recovers a run later
// starts the same plugin, even if the original was replaced meanwhile.
func (h *Host) keep(b *binary) (*binary, error) {
	if err := h.checksum(b); err != nil {
		return nil, err
	}
	if err := h.allow(b); err != nil { // of the original: a folder of dev_overrides is no copy's
		return nil, err
	}
	return h.store(b)
}

// store is keep for a binary that is hashed and allowed.
func (h *Host) store(b *binary) (*binary, error) {
	path := h.kept(b.name, b.sum)
	c, err := openHashed(b.name, path)
	if err == nil && c.sum == b.sum { // of the same content: what holds for the one holds for the other
		c.basis = b.basis
		return c, nil
	}
	if err == nil { // damaged: made anew
		c.close()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := b.copyTo(path); err != nil {
		return nil, fmt.Errorf("keep a copy of plugin %s for recovery: %w", b.name, err)
	}
	if c, err = openHashed(b.name, path); err != nil {
		return nil, err
	}
	if c.sum != b.sum {
		c.close()
		os.Remove(path)
		return nil, changedMeanwhile(b)
	}
	c.basis = b.basis
	return c, nil
}

func openHashed(name, path string) (*binary, error) {
	b, err := openBinary(name, path)
	if err != nil {
		return nil, err
	}
	if err := b.hash(); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// copyTo copies the binary to a path, whole or not at all. Others may do the same
// at the same time.
func (b *binary) copyTo(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".copy-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // in vain once it is renamed
	if _, err = b.file.Seek(0, io.SeekStart); err == nil {
		_, err = io.Copy(f, b.file) // the kernel copies, or shares the blocks
	}
	if err == nil {
		err = f.Chmod(0o500)
	}
	if err == nil {
		err = f.Sync() // it is needed after a power loss
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err == nil {
			err = durable.SyncDir(d)
		}
	}
	return err
}
