//go:build linux

package impair

import (
	"errors"
	"fmt"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/faultline-go/faultline/plugins/net/nettest"
)

// On a busy machine interfaces come and go all the time.
func TestInterfacesAreListedWhileOthersComeAndGo(t *testing.T) {
	const staying = 100 // more than one message of the kernel's holds
	p := nettest.NewPair(t)
	if err := p.Here.Do(func() error {
		for i := range staying {
			if err := netlink.LinkAdd(&netlink.Ifb{LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprintf("staying%d", i), TxQLen: 32}}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	stop, gone := make(chan struct{}), make(chan error, 1)
	go func() {
		gone <- p.Here.Do(func() error {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return nil
				default:
				}
				link := &netlink.Ifb{LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprintf("passing%d", i), TxQLen: 32}}
				if err := errors.Join(netlink.LinkAdd(link), netlink.LinkDel(link)); err != nil {
					return err
				}
			}
		})
	}()
	err := p.Here.Do(func() error {
		for range 300 {
			links, err := Interfaces()
			if err != nil {
				return err
			}
			if len(links) < staying {
				return fmt.Errorf("%d interfaces, want the %d that stay at least", len(links), staying)
			}
		}
		return nil
	})
	close(stop)
	if err := errors.Join(err, <-gone); err != nil {
		t.Error(err)
	}
}
