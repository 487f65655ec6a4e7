//go:build linux

package vm

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// wanted are the modules that tests of faults work with; what they need comes along. In the
// computer nothing is loaded on demand.
var wanted = []string{
	"veth", "ifb", "dummy", "ipv6",
	"sch_netem", "sch_htb", "sch_tbf", "sch_fq", "sch_fq_codel", "sch_codel", "sch_cake", "sch_sfq",
	"nf_tables", "nft_chain_nat", "nft_ct", "nft_numgen", "nft_redir", "nft_reject_inet", "nft_fwd_netdev",
	"nft_compat", "xt_NFQUEUE", "nfnetlink_queue", "nf_conntrack_netlink",
}

// kernel is a kernel with its modules, in a folder as its package has it.
type kernel struct {
	image   string
	modules map[string]string // name → file
}

// KernelEnv names the folder of the kernel: with boot/vmlinuz-* and lib/modules. Default:
// where contrib/guest-kernel puts it.
const KernelEnv = "FAULTLINE_GUEST_KERNEL"

func kernelDir() (string, error) {
	if dir := os.Getenv(KernelEnv); dir != "" {
		return dir, nil
	}
	cache, err := os.UserCacheDir()
	return filepath.Join(cache, "faultline", "guest-kernel"), err
}

func findKernel() (k kernel, err error) {
	dir, err := kernelDir()
	if err != nil {
		return k, err
	}
	images, err := filepath.Glob(filepath.Join(dir, "boot", "vmlinuz-*"))
	if err != nil {
		return k, err
	}
	if len(images) == 0 {
		return k, fmt.Errorf("no kernel in %s: fetch it with contrib/guest-kernel", dir)
	}
	k.image = slices.Max(images)
	_, version, _ := strings.Cut(filepath.Base(k.image), "-")
	k.modules = map[string]string{}
	err = filepath.WalkDir(filepath.Join(dir, "lib", "modules", version), func(path string, e fs.DirEntry, err error) error {
		if name, ok := strings.CutSuffix(filepath.Base(path), ".ko"); ok && err == nil {
			k.modules[dashless(name)] = path
		}
		return err
	})
	return k, err
}

// dashless is the one form of a module's name: the kernel takes - and _ for the same.
func dashless(name string) string { return strings.ReplaceAll(name, "-", "_") }

// closure lists the files of modules in the order in which they can be loaded. One that the
// folder lacks is taken for a part of the kernel itself.
func (k kernel) closure(names []string) ([]string, error) {
	var out []string
	seen := map[string]bool{}
	var visit func(name string) error
	visit = func(name string) error {
		name = dashless(name)
		file, ok := k.modules[name]
		if seen[name] || !ok {
			return nil
		}
		seen[name] = true
		needs, err := needsOf(file)
		if err != nil {
			return fmt.Errorf("module %s: %w", name, err)
		}
		for _, n := range needs {
			if err := visit(n); err != nil {
				return err
			}
		}
		out = append(out, file)
		return nil
	}
	for _, name := range names {
		if err := visit(name); err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, errors.New("the kernel has come without modules")
	}
	return out, nil
}

// needsOf reads what a module says of itself.
func needsOf(file string) (needs []string, err error) {
	f, err := elf.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	section := f.Section(".modinfo")
	if section == nil {
		return nil, errors.New("it says nothing of itself")
	}
	raw, err := section.Data()
	if err != nil {
		return nil, err
	}
	for _, field := range bytes.Split(raw, []byte{0}) {
		if list, ok := strings.CutPrefix(string(field), "depends="); ok && list != "" {
			needs = append(needs, strings.Split(list, ",")...)
		}
	}
	return needs, nil
}
