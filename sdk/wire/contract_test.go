package wire

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/faultline-go/faultline/sdk/wire/internal/pb"
)

var update = flag.Bool("update", false, "add to the golden contract what is new")

// contract lists a contract's calls and fields, one a line: whatever changes one of these
// lines changes what an older side reads.
func contract() []string {
	file := pb.File_plugin_proto
	var out []string
	for i := range file.Services().Len() {
		s := file.Services().Get(i)
		for j := range s.Methods().Len() {
			m := s.Methods().Get(j)
			out = append(out, fmt.Sprintf("rpc %s/%s(%s%s) returns (%s%s)", s.FullName(), m.Name(),
				streaming(m.IsStreamingClient()), m.Input().Name(), streaming(m.IsStreamingServer()), m.Output().Name()))
		}
	}
	var messages func(protoreflect.MessageDescriptors)
	messages = func(all protoreflect.MessageDescriptors) {
		for i := range all.Len() {
			m := all.Get(i)
			for j := range m.Fields().Len() {
				f := m.Fields().Get(j)
				kind := f.Kind().String()
				if f.Message() != nil {
					kind = string(f.Message().Name())
				}
				out = append(out, fmt.Sprintf("%s %d: %s %s %s", m.Name(), f.Number(), f.Cardinality(), kind, f.Name()))
			}
			messages(m.Messages())
		}
	}
	messages(file.Messages())
	return out
}

func streaming(is bool) string {
	if is {
		return "stream "
	}
	return ""
}

// Within protocol 1 the contract only grows: plugins and engines of every age that speak
// it understand each other.
func TestTheContractOnlyGrows(t *testing.T) {
	path := filepath.Join("testdata", "contract.v1.txt")
	raw, err := os.ReadFile(path)
	if err != nil && !*update {
		t.Fatal(err)
	}
	before, now := strings.Split(strings.TrimSpace(string(raw)), "\n"), contract()
	if len(raw) == 0 {
		before = nil
	}
	for _, line := range before {
		if !slices.Contains(now, line) {
			t.Errorf("plugin.proto has lost or changed %q: within a protocol nothing is removed, renumbered, renamed or retyped; see README.md", line)
		}
	}
	if t.Failed() {
		return
	}
	if *update {
		if err := os.WriteFile(path, []byte(strings.Join(now, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, line := range now {
		if !slices.Contains(before, line) {
			t.Errorf("plugin.proto has the new %q: say in README.md what an older side does without it, and run go test ./sdk/wire -update", line)
		}
	}
}

// requests is a connection that keeps the requests.
type requests struct{ raw [][]byte }

func (r *requests) Invoke(_ context.Context, _ string, q, _ any, _ ...grpc.CallOption) error {
	raw, err := proto.Marshal(q.(proto.Message))
	r.raw = append(r.raw, raw)
	return err
}

func (r *requests) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, fmt.Errorf("no stream")
}

func TestEveryRequestHasAFieldToSkip(t *testing.T) {
	var r requests
	if err := NewClient(&r).Configure(t.Context(), Configure{Run: "r1"}); err != nil {
		t.Fatal(err)
	}
	if len(r.raw) != 1 {
		t.Fatalf("%d requests", len(r.raw))
	}
	numbers := map[protowire.Number]bool{}
	for raw := r.raw[0]; len(raw) > 0; {
		n, typ, used := protowire.ConsumeTag(raw)
		if used < 0 {
			t.Fatal(protowire.ParseError(used))
		}
		value := protowire.ConsumeFieldValue(n, typ, raw[used:])
		raw = raw[used+value:]
		numbers[n] = true
	}
	if !numbers[2] || !numbers[protowire.MaxValidNumber] {
		t.Errorf("the request has the fields %v", numbers)
	}
}
