package host

import (
	"errors"
	"fmt"

	goplugin "github.com/hashicorp/go-plugin"

	"github.com/faultline-go/faultline/sdk/wire"
)

// protocols are those that an engine speaks. It offers them all to a plugin, which picks
// the newest that it knows, too, and says so; one that knows none of them names its own.
type protocols struct{ oldest, newest int }

// errOtherProtocol is of a plugin that speaks none of them.
var errOtherProtocol = errors.New("it speaks another protocol")

// sets is what go-plugin offers.
func (ps protocols) sets(watch func(wire.Call)) map[int]goplugin.PluginSet {
	all := map[int]goplugin.PluginSet{}
	for v := ps.oldest; v <= ps.newest; v++ {
		all[v] = goplugin.PluginSet{wire.ServiceName: service{watch: watch}}
	}
	return all
}

func (ps protocols) have(version int) bool { return ps.oldest <= version && version <= ps.newest }

// misfit says what is wrong with a plugin of another protocol.
func (ps protocols) misfit(version int) (problem, hint string) {
	ours := fmt.Sprint(ps.newest)
	if ps.oldest < ps.newest {
		ours = fmt.Sprintf("%d to %d", ps.oldest, ps.newest)
	}
	hint = "upgrade faultline"
	if version < ps.oldest {
		hint = "upgrade the plugin"
	}
	return fmt.Sprintf("it speaks protocol %d, this faultline speaks %s", version, ours), hint
}
