package main

import (
	"context"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/faultline-go/faultline/engine/install"
	"github.com/faultline-go/faultline/sdk"
)

// lampBinary is a name under which the test binary plays a plugin that has to be
// installed: it lies nowhere until a script makes it, in the version that it wants.
const lampBinary = "faultline-plugin-lamp"

// lampVersion stands before the version, at the end of the binary.
const lampVersion = "\nlamp version "

// playsLamp serves the plugin, if this process is it. Its version is what the file says
// that runs, as that of any plugin is.
func playsLamp() bool {
	if filepath.Base(os.Args[0]) != lampBinary {
		return false
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return false
	}
	text := string(self[max(0, len(self)-100):])
	_, version, _ := strings.Cut(text, lampVersion)
	sdk.Serve(sdk.Plugin{
		Name: "lamp", Version: version, Doc: "Looks at lamps, for tests.",
		Probes: []sdk.ProbeType{sdk.Probe[struct{}]{
			Type: "lamp_lit", Doc: "It is.",
			Open: func(context.Context, struct{}) (func(context.Context) sdk.Sample, func(), error) {
				return func(context.Context) sdk.Sample { return sdk.Good() }, nil, nil
			},
		}},
	})
	return true
}

// lampCommand makes the binary of a version: `lamp VERSION FILE`.
func lampCommand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: lamp VERSION FILE")
	}
	self, err := os.Executable()
	ts.Check(err)
	text, err := os.ReadFile(self)
	ts.Check(err)
	ts.Check(os.MkdirAll(filepath.Dir(ts.MkAbs(args[1])), 0o700))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), append(text, lampVersion+args[0]...), 0o700))
}

// serveCommand serves a folder over HTTPS until the script ends, and sets $URL, and
// $SSL_CERT_FILE for everything that the script starts: `serve FOLDER`.
func serveCommand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: serve FOLDER")
	}
	s := httptest.NewTLSServer(http.FileServer(http.Dir(ts.MkAbs(args[0]))))
	ts.Defer(s.Close)
	file := ts.MkAbs("authority.pem")
	ts.Check(os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	ts.Setenv("SSL_CERT_FILE", file)
	ts.Setenv("URL", s.URL)
	ts.Setenv("PLATFORM", install.ThisPlatform().String())
}
