//go:build linux

package impair

import (
	"errors"
	"testing"
	"time"

	"github.com/faultline-go/faultline/plugins/internal/vm"
	"github.com/faultline-go/faultline/plugins/net/nettest"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

// Everything is tested on a stock kernel too, which is older than most machines' and has
// netem.
func TestOnAStockKernel(t *testing.T) {
	if vm.Inside() {
		t.Skip("this is one")
	}
	vm.Test(t, ".", ".", 10*time.Minute, "root", "netem", "queues")
}

func needNetem(t *testing.T) {
	t.Helper()
	nettest.Root(t)
	plugintest.Need(t, "netem", func() error {
		can, err := Able()
		if err == nil && !can.Netem {
			err = errors.New("this kernel lacks sch_netem; TestOnAStockKernel runs this test on one that has it")
		}
		return err
	})
}
