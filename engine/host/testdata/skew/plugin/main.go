// Command plugin is a plugin of another time. It was built with an SDK that knew other
// protocols, fewer calls, and more fields than today's: what it serves is written out
// here by hand, so that it does not change with the SDK.
package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
)

// speaks are its protocols, "1,2"; the linker sets it.
var speaks = "1"

// description has fields that today's engine does not know, at every level.
const description = `{"format": 1, "name": "lamp", "version": "0.9.0", "doc": "Lamps of another time.",
	"invented_later": {"deep": [1, 2]},
	"faults": [{"type": "lamp_off", "doc": "Takes a lamp away.", "config": {"attributes": [
			{"name": "suffix", "type": "string", "doc": "Of the name.", "invented_later": true}], "invented_later": 1},
		"accepts": [{"interface": "lamp", "invented_later": "x"}], "hold": "journal", "reversibility": "reversible",
		"revert_ms": 1000, "concurrency": 1, "invented_later": null}]}`

func main() {
	sets := map[int]goplugin.PluginSet{}
	for s := range strings.SplitSeq(speaks, ",") {
		v, err := strconv.Atoi(s)
		if err != nil {
			panic(err)
		}
		sets[v] = goplugin.PluginSet{"faultline": lamp{protocol: v}}
	}
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{MagicCookieKey: "FAULTLINE_PLUGIN", MagicCookieValue: "a-fault-is-a-lease"},
		VersionedPlugins: sets,
		GRPCServer:       goplugin.DefaultGRPCServer,
	})
}

type lamp struct {
	goplugin.NetRPCUnsupportedPlugin
	protocol int
}

func (l lamp) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("a plugin is no client")
}

// message is a protobuf message as its bytes.
type message struct{ raw []byte }

func (m *message) Reset()         { m.raw = nil }
func (m *message) String() string { return fmt.Sprintf("%x", m.raw) }
func (m *message) ProtoMessage()  {}

// Marshal and Unmarshal are those of messages that were generated before 2020.
func (m *message) Marshal() ([]byte, error) { return m.raw, nil }
func (m *message) Unmarshal(b []byte) error {
	m.raw = append([]byte(nil), b...)
	return nil
}

// GRPCServer serves Describe and Configure, and nothing that came later.
func (l lamp) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	unary := func(answer func() []byte) func(any, context.Context, func(any) error, grpc.UnaryServerInterceptor) (any, error) {
		return func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			if err := decode(new(message)); err != nil {
				return nil, err
			}
			return &message{answer()}, nil
		}
	}
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: "faultline.plugin.v1.Plugin",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{
			{MethodName: "Describe", Handler: unary(func() []byte {
				out := protowire.AppendTag(nil, 1, protowire.BytesType)
				out = protowire.AppendString(out, description)
				out = protowire.AppendTag(out, 99, protowire.BytesType) // a field that came later
				return protowire.AppendString(out, fmt.Sprint("protocol ", l.protocol))
			})},
			{MethodName: "Configure", Handler: unary(func() []byte { return nil })},
		},
	}, l)
	return nil
}
