package publish

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/faultline-go/faultline/engine/install"
)

// errScript says that a file runs wherever its interpreter does.
var errScript = errors.New("it is a script, which does not say which platform it is for")

// processors are Go's names of what ELF calls machine, class and byte order.
var processors = []struct {
	machine elf.Machine
	class   elf.Class
	data    elf.Data
	name    string
}{
	{elf.EM_386, elf.ELFCLASS32, elf.ELFDATA2LSB, "386"},
	{elf.EM_X86_64, elf.ELFCLASS64, elf.ELFDATA2LSB, "amd64"},
	{elf.EM_ARM, elf.ELFCLASS32, elf.ELFDATA2LSB, "arm"},
	{elf.EM_AARCH64, elf.ELFCLASS64, elf.ELFDATA2LSB, "arm64"},
	{elf.EM_LOONGARCH, elf.ELFCLASS64, elf.ELFDATA2LSB, "loong64"},
	{elf.EM_PPC64, elf.ELFCLASS64, elf.ELFDATA2MSB, "ppc64"},
	{elf.EM_PPC64, elf.ELFCLASS64, elf.ELFDATA2LSB, "ppc64le"},
	{elf.EM_RISCV, elf.ELFCLASS64, elf.ELFDATA2LSB, "riscv64"},
	{elf.EM_S390, elf.ELFCLASS64, elf.ELFDATA2MSB, "s390x"},
}

// systems are those whose programs say so. The programs of Linux most often say nothing.
var systems = map[elf.OSABI]string{
	elf.ELFOSABI_NONE: "linux", elf.ELFOSABI_LINUX: "linux",
	elf.ELFOSABI_FREEBSD: "freebsd", elf.ELFOSABI_NETBSD: "netbsd", elf.ELFOSABI_OPENBSD: "openbsd",
}

// Platform says what a program is built for, by its header: linux_amd64.
func Platform(path string) (install.Platform, error) {
	f, err := os.Open(path)
	if err != nil {
		return install.Platform{}, fmt.Errorf("read the plugin's binary: %w", err)
	}
	defer f.Close()
	start := make([]byte, 4)
	if n, err := io.ReadFull(f, start); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return install.Platform{}, fmt.Errorf("read %s: %w", path, err)
	} else if start = start[:n]; bytes.HasPrefix(start, []byte("#!")) {
		return install.Platform{}, fmt.Errorf("%s: %w: name it (linux_amd64=%s)", path, errScript, path)
	}
	if string(start) != elf.ELFMAG {
		return install.Platform{}, fmt.Errorf("%s is no program for a system that faultline runs on", path)
	}
	x, err := elf.NewFile(f)
	if err != nil {
		return install.Platform{}, fmt.Errorf("%s is damaged: %w", path, err)
	}
	if x.Type != elf.ET_EXEC && x.Type != elf.ET_DYN {
		return install.Platform{}, fmt.Errorf("%s is no program (%s)", path, x.Type)
	}
	for _, p := range processors {
		if system := systems[x.OSABI]; system != "" && p.machine == x.Machine && p.class == x.Class && p.data == x.Data {
			return install.Platform{OS: system, Arch: p.name}, nil
		}
	}
	return install.Platform{}, fmt.Errorf("%s is for a platform that is not known here (%s, %s)", path, x.Machine, x.OSABI)
}
