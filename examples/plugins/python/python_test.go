package python

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/faultline-go/faultline/engine/conformance"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

const interpreter = "/usr/bin/python3"

func needPython(t *testing.T) {
	t.Helper()
	plugintest.Need(t, "python", func() error {
		if out, err := exec.Command(interpreter, "-c", "import grpc, google.protobuf").CombinedOutput(); err != nil {
			return fmt.Errorf("%s with grpcio and protobuf: %w: %s", interpreter, err, bytes.TrimSpace(out))
		}
		return nil
	})
}

// What a plugin in Go promises a plugin in Python promises, too.
func TestConformance(t *testing.T) {
	needPython(t)
	out := t.TempDir()
	if text, err := exec.Command("make", "build", "PYTHON="+interpreter, "OUT="+out).CombinedOutput(); err != nil {
		t.Fatalf("make build: %v\n%s", err, text)
	}
	cases, err := conformance.Cases("cases.hcl", filepath.Join(out, "faultline-plugin-sign"))
	if err != nil {
		t.Fatal(err)
	}
	plugintest.Faults(t, cases...)
}

// The generated code is of the contract as it is now.
func TestGeneratedCodeIsCurrent(t *testing.T) {
	needPython(t)
	out, err := exec.Command(interpreter, "-c", "import plugin_pb2; print(plugin_pb2.DESCRIPTOR.serialized_pb.hex())").Output()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString(string(bytes.TrimSpace(out)))
	if err != nil {
		t.Fatal(err)
	}
	var generated descriptorpb.FileDescriptorProto
	if err := proto.Unmarshal(raw, &generated); err != nil {
		t.Fatal(err)
	}
	compiler := protocompile.Compiler{Resolver: &protocompile.SourceResolver{ImportPaths: []string{"../../../sdk/wire"}}}
	files, err := compiler.Compile(context.Background(), "plugin.proto")
	if err != nil {
		t.Fatal(err)
	}
	want := protodesc.ToFileDescriptorProto(files[0])
	for _, f := range []*descriptorpb.FileDescriptorProto{&generated, want} {
		plain(f)
	}
	if !proto.Equal(&generated, want) {
		t.Error("the code is of another version of sdk/wire/plugin.proto: run `make generate` here")
	}
}

// plain leaves out what compilers add each in their own way.
func plain(f *descriptorpb.FileDescriptorProto) {
	f.SourceCodeInfo = nil
	var all func([]*descriptorpb.DescriptorProto)
	all = func(messages []*descriptorpb.DescriptorProto) {
		for _, m := range messages {
			for _, field := range m.Field {
				field.JsonName = nil
			}
			all(m.NestedType)
		}
	}
	all(f.MessageType)
}
