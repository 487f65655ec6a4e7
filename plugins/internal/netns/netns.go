//go:build linux

// Package netns finds network namespaces, tells them apart, and works inside them.
//
// A namespace is found by a process that lives in it or by a file (those that `ip netns
// add` makes are in /run/netns), and is known by its ID. A socket belongs to the
// namespace in which it was made, whichever thread uses it afterwards: it is enough to
// enter a namespace for as long as it takes to open what is needed.
package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// ID names one network namespace: no other one of any boot has the same two, as long as
// something holds it. After it has gone, the kernel may give its inode to a new one; who
// keeps an ID for long also keeps which process or file led to it.
type ID struct {
	Inode uint64 `json:"inode"`
	Boot  string `json:"boot"`
}

func (id ID) String() string { return fmt.Sprintf("net:[%d] boot %s", id.Inode, id.Boot) }

// Key is the ID as a word, for the names of resources.
func (id ID) Key() string { return fmt.Sprintf("netns:%d:%s", id.Inode, id.Boot) }

// ErrGone says that the process or the file that should lead to a namespace does not
// exist, or does not lead to one any more.
var ErrGone = errors.New("the network namespace is gone")

// Namespace is a network namespace that this process holds open: it lives until Close,
// whatever happens to the processes in it.
type Namespace struct {
	ID
	file *os.File
}

// OfProcess opens the namespace of a process. Looking at another user's process needs
// root, or CAP_SYS_PTRACE.
func OfProcess(pid int) (*Namespace, error) {
	return At("/proc/" + strconv.Itoa(pid) + "/ns/net")
}

// Named opens a namespace that was made by `ip netns add`.
func Named(name string) (*Namespace, error) {
	if name == "" || name == "." || name == ".." || strings.Contains(name, "/") {
		return nil, fmt.Errorf("%q is no name of a network namespace", name)
	}
	return At(Dir + "/" + name)
}

// Dir is where named namespaces are.
const Dir = "/run/netns"

// Own opens the namespace of the calling thread.
func Own() (*Namespace, error) { return At("/proc/thread-self/ns/net") }

// At opens the namespace that a file stands for.
func At(path string) (*Namespace, error) {
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESRCH):
		return nil, fmt.Errorf("open network namespace %s: %w", path, ErrGone)
	case err != nil:
		return nil, fmt.Errorf("open network namespace: %w", err)
	}
	n := &Namespace{file: f}
	if n.ID, err = identify(f); err != nil {
		return nil, errors.Join(fmt.Errorf("open network namespace %s: %w", path, err), f.Close())
	}
	return n, nil
}

// FileSystem is the type of the file system in which namespaces are files.
const FileSystem = unix.NSFS_MAGIC

func identify(f *os.File) (ID, error) {
	var kind unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &kind); err != nil {
		return ID{}, err
	}
	if kind.Type != FileSystem {
		return ID{}, fmt.Errorf("it is an ordinary file, whoever held the namespace there has let go of it: %w", ErrGone)
	}
	if kind, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_NSTYPE); err != nil || kind != unix.CLONE_NEWNET {
		return ID{}, errors.New("it is a namespace, but not of the network")
	}
	var at unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &at); err != nil {
		return ID{}, err
	}
	boot, err := Boot()
	return ID{Inode: at.Ino, Boot: boot}, err
}

// Boot names this boot of the machine.
var Boot = sync.OnceValues(func() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the boot id: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
})

// Close lets go of the namespace.
func (n *Namespace) Close() error { return n.file.Close() }

// Fd is the open namespace, for calls that take a descriptor. It is valid until Close.
func (n *Namespace) Fd() int { return int(n.file.Fd()) }

// Do runs fn inside the namespace, on a thread of its own for that long. fn must not
// start goroutines that rely on being inside. It needs root, or CAP_SYS_ADMIN.
func (n *Namespace) Do(fn func() error) error {
	runtime.LockOSThread()
	home, err := Own()
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer home.Close()
	if err := unix.Setns(n.Fd(), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter network namespace %s: %w", n.ID, err)
	}
	defer func() {
		if err := unix.Setns(home.Fd(), unix.CLONE_NEWNET); err != nil {
			// The thread stays locked: it ends with its goroutine, and nobody else's code
			// ever runs in the wrong namespace.
			return
		}
		runtime.UnlockOSThread()
	}()
	return fn()
}
