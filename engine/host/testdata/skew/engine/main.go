// Command engine is an engine of another time, as small as one can be: it starts the
// plugin that its first argument names, offers the protocols of its second ("1,2"; "old":
// it knows one, and does not say so, as faultline did before protocols were negotiated),
// asks it what it is, and tells what came of it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/faultline-go/faultline/sdk/wire"
)

func main() {
	config := &goplugin.ClientConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{MagicCookieKey: "FAULTLINE_PLUGIN", MagicCookieValue: "a-fault-is-a-lease"},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		Cmd:              exec.Command(os.Args[1]),
		Logger:           hclog.NewNullLogger(),
	}
	if os.Args[2] == "old" {
		config.ProtocolVersion = 1
		config.Plugins = goplugin.PluginSet{"faultline": client{}}
	} else {
		config.VersionedPlugins = map[int]goplugin.PluginSet{}
		for s := range strings.SplitSeq(os.Args[2], ",") {
			v, err := strconv.Atoi(s)
			if err != nil {
				panic(err)
			}
			config.VersionedPlugins[v] = goplugin.PluginSet{"faultline": client{}}
		}
	}
	c := goplugin.NewClient(config)
	defer c.Kill()
	if err := talk(c); err != nil {
		fmt.Println("failed:", err)
		return
	}
}

func talk(c *goplugin.Client) error {
	rpc, err := c.Client()
	if err != nil {
		return err
	}
	raw, err := rpc.Dispense("faultline")
	if err != nil {
		return err
	}
	d, err := raw.(*wire.Client).Describe(context.Background())
	if err != nil {
		return err
	}
	fmt.Printf("plugin %s, protocol %d\n", d.Name, c.NegotiatedVersion())
	return nil
}

type client struct {
	goplugin.NetRPCUnsupportedPlugin
}

func (client) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error {
	return errors.New("an engine serves nothing")
}

func (client) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return wire.NewClient(c), nil
}
