package host

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/faultline-go/faultline/sdk/wire"
)

func TestParseRecord(t *testing.T) {
	for line, want := range map[string]string{
		`level=WARN msg="it \"sticks\"" fault=f1 error="no such file"`: `WARN|it "sticks"|[fault=f1 error=no such file]`,
		`level=info msg=ready`:       `INFO|ready|[]`,
		`level=ERROR+2 msg=x`:        `ERROR+2|x|[]`,
		`level=LOUD msg=x`:           `DEBUG|level=LOUD msg=x|[]`,
		`msg=x level=WARN`:           `DEBUG|msg=x level=WARN|[]`,
		`plain words`:                `DEBUG|plain words|[]`,
		`level=WARN msg="never ends`: `WARN|"never|[]`,
		`level=INFO msg=x a`:         `DEBUG|level=INFO msg=x a|[]`,
		`level=INFO msg="two words" and then="some more"`: `DEBUG|level=INFO msg="two words" and then="some more"|[]`,
		``: `DEBUG||[]`,
	} {
		if strings.Contains(line, "never ends") {
			want = `DEBUG|` + line + `|[]`
		}
		level, msg, attrs := parseRecord(line)
		var b strings.Builder
		for i, a := range attrs {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(a.String())
		}
		if got := level.String() + "|" + msg + "|[" + b.String() + "]"; got != want {
			t.Errorf("%s\n got %s\nwant %s", line, got, want)
		}
	}
}

// notes is a log that tests read.
type notes struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(p)
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.String()
}

func TestEveryCallIsTraced(t *testing.T) {
	var log notes
	h := playing(t, "os.Exit", func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: LevelTrace}))
	})
	const secret = "the-secret-setting"
	p, err := h.Start(t.Context(), "testfile", wire.Configure{Settings: []byte(`{"token":"` + secret + `"}`)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	mark := filepath.Join(t.TempDir(), "mark")
	_ = inject(t.Context(), p, "testfile_death", mark)
	<-p.Done()
	p.Kill()
	for _, want := range []string{
		"call=Describe", "call=Configure", `msg="call begins" plugin=testfile call=Session`, "call=Prepare type=testfile_death targets=1 took=",
		"call=Inject type=testfile_death fault=f1 targets=1 took=", "exit status 5", // of the call that ended it
		`level=INFO msg="about to die" plugin=testfile type=testfile_death target=` + mark,
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not have %q:\n%s", want, &log)
		}
	}
	if strings.Contains(log.String(), secret) {
		t.Errorf("the log has a setting's value:\n%s", &log)
	}
}

// Sessions and probes last until faultline wants them no longer.
func TestWhatFaultlineEndsIsNoError(t *testing.T) {
	var log notes
	h := playing(t, "plugin", func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: LevelTrace}))
	})
	p, err := h.Start(t.Context(), "testfile", wire.Configure{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	ctx, cancel := context.WithCancel(t.Context())
	s, err := p.Session(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := s.Next(); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if got := log.String(); !strings.Contains(got, `ended="by faultline"`) || strings.Contains(got, "error=") {
		t.Errorf("the log is:\n%s", got)
	}
}
