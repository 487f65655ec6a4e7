//go:build linux

package netns

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/sdk/plugintest"
)

func needRoot(t *testing.T) {
	plugintest.Need(t, "root", func() error {
		if os.Geteuid() != 0 {
			return errors.New("this user may not make network namespaces")
		}
		return nil
	})
}

// fresh makes a new namespace and returns it held open.
func fresh(t *testing.T) *Namespace {
	t.Helper()
	own, err := Own()
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	var n *Namespace
	if err := own.Do(func() (err error) { // which brings the thread back
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		n, err = Own()
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func links(t *testing.T) []string {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, i := range all {
		names = append(names, i.Name)
	}
	return names
}

func TestDoWorksInsideAndComesBack(t *testing.T) {
	needRoot(t)
	n := fresh(t)
	own, err := Own()
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	if own.ID == n.ID {
		t.Fatalf("a new namespace has the identity of ours: %v", n.ID)
	}
	var inside []string
	fault := errors.New("from inside")
	err = n.Do(func() error {
		inside = links(t)
		again, err := Own()
		if err != nil {
			return err
		}
		defer again.Close()
		if again.ID != n.ID {
			t.Errorf("inside the namespace is %v, want %v", again.ID, n.ID)
		}
		return fault
	})
	if !errors.Is(err, fault) {
		t.Errorf("Do returned %v, want the error of what it ran", err)
	}
	if len(inside) != 1 || inside[0] != "lo" {
		t.Errorf("inside there are %v, want the loopback of a new namespace", inside)
	}
	after, err := Own()
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	if after.ID != own.ID {
		t.Errorf("afterwards we are in %v, not back in %v", after.ID, own.ID)
	}
}

func TestProcessAndItsNamespaceAreOne(t *testing.T) {
	own, err := Own()
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	of, err := OfProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer of.Close()
	if of.ID != own.ID || of.Inode == 0 || of.Boot == "" {
		t.Errorf("our process is in %v, our thread in %v", of.ID, own.ID)
	}
}

func TestWhatIsNoNetworkNamespace(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		plain:                       "an ordinary file",
		"/proc/self/ns/mnt":         "not of the network",
		plain + "x":                 ErrGone.Error(),
		"/proc/999999999/ns/net":    ErrGone.Error(),
		Dir + "/no-such-name-in-it": ErrGone.Error(),
	} {
		n, err := At(path)
		if err == nil {
			n.Close()
			t.Errorf("%s was opened as a network namespace", path)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", path, err, want)
		}
	}
	for _, name := range []string{"", "..", "a/b"} {
		if _, err := Named(name); err == nil {
			t.Errorf("the name %q was accepted", name)
		}
	}
}
