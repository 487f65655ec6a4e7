package sdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/faultline-go/faultline/sdk/wire"
)

// The environment variables of go-plugin's handshake.
const (
	versionsVariable = "PLUGIN_PROTOCOL_VERSIONS"
	socketsVariable  = "PLUGIN_UNIX_SOCKET_DIR"
)

// serveEngine serves the engine that has started this process, until it asks for the
// end: a socket, a line on out that says where it is, and go-plugin's server there.
//
// goplugin.Serve does the same and more: it also serves net/rpc, for which the linker has
// to keep so much that a plugin's file and memory grow by a third, and what the engine
// must hash at each start with them. And it sends what is printed over the connection,
// where the last words before a crash are lost.
func serveEngine(impl wire.Server, out io.Writer, getenv func(string) string) error {
	signal.Notify(make(chan os.Signal, 1), os.Interrupt) // of a terminal: the engine deals with it
	dir := getenv(socketsVariable)
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "faultline-"); err != nil {
			return fmt.Errorf("make a folder for the socket: %w", err)
		}
		defer os.RemoveAll(dir)
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", filepath.Join(dir, "plugin.sock"))
	if err != nil {
		return fmt.Errorf("listen for the engine: %w", err)
	}
	defer l.Close()

	// go-plugin adds what its client wants beside the service: health, shutdown, and
	// streams of what is printed, which stay silent here.
	var server *grpc.Server
	silent, _ := io.Pipe()
	services := &goplugin.GRPCServer{
		Plugins: goplugin.PluginSet{wire.ServiceName: &service{impl: impl}},
		Server: func(more []grpc.ServerOption) *grpc.Server {
			server = newGRPC(more)
			return server
		},
		Stdout: silent, Stderr: silent,
	}
	if err := services.Init(); err != nil {
		return fmt.Errorf("prepare to serve: %w", err)
	}
	line := fmt.Sprintf("%d|%d|unix|%s|%s|\n", goplugin.CoreProtocolVersion,
		protocol(getenv(versionsVariable), wire.Protocol), l.Addr(), goplugin.ProtocolGRPC)
	if _, err := io.WriteString(out, line); err != nil {
		return fmt.Errorf("say where the socket is: %w", err)
	}
	return server.Serve(l)
}

// protocol chooses the newest protocol that both sides speak. Where there is none the
// engine is told our oldest, and says why it cannot use it.
func protocol(offered string, ours ...int) int {
	best := slices.Min(ours)
	found := false
	for word := range strings.SplitSeq(offered, ",") {
		if v, err := strconv.Atoi(word); err == nil && slices.Contains(ours, v) && (!found || v > best) {
			best, found = v, true
		}
	}
	return best
}

// service hands a server to go-plugin.
type service struct {
	goplugin.NetRPCUnsupportedPlugin
	impl wire.Server
}

func (s *service) GRPCServer(_ *goplugin.GRPCBroker, g *grpc.Server) error {
	wire.Register(g, s.impl)
	return nil
}

func (s *service) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("a plugin is no client")
}
