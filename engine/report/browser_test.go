package report

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	pages "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

// reader is a page in a real browser, as somebody reads it.
type reader struct {
	*testing.T
	ctx context.Context

	mu      sync.Mutex
	heard   []string // what the console said, and what was asked of the network
	dialogs int
}

// openInBrowser opens a result's page from a file, in a browser of its own with an
// empty profile.
func openInBrowser(t *testing.T, r *judge.Result, before ...func(*reader)) *reader {
	t.Helper()
	chromium := ""
	plugintest.Need(t, "chromium", func() (err error) {
		chromium, err = exec.LookPath("chromium")
		return err
	})
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 900), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("hide-scrollbars", true), chromedp.CombinedOutput(nothing{}))
	limit, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(stop)
	allocator, end := chromedp.NewExecAllocator(limit, options...)
	t.Cleanup(end)
	ctx, close := chromedp.NewContext(allocator)
	t.Cleanup(close)
	b := &reader{T: t, ctx: ctx}
	b.must(chromedp.Do(ctx))
	b.must(chromedp.Listen(ctx, b.listen))
	b.call(func() error { _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); return err })
	b.call(func() error { _, err := chromedp.Call(ctx, log.Enable, cdp.Empty{}); return err })
	for _, f := range before {
		f(b)
	}
	file := filepath.Join(t.TempDir(), "report.html")
	b.must(os.WriteFile(file, htmlOf(t, r), 0o600))
	b.must(chromedp.Do(ctx, chromedp.Navigate("file://"+file)))
	return b
}

type nothing struct{}

func (nothing) Write(p []byte) (int, error) { return len(p), nil }

func (b *reader) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *reader) call(f func() error) { b.Helper(); b.must(f()) }

func (b *reader) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		b.heard = append(b.heard, fmt.Sprintf("console %s %v", e.Type, e.Args))
	case *runtime.EventExceptionThrown:
		b.heard = append(b.heard, "exception "+e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		b.heard = append(b.heard, fmt.Sprintf("log %s %s", e.Entry.Level, e.Entry.Text))
	case *network.EventRequestWillBeSent:
		if u := e.Request.URL; !strings.HasSuffix(u, "/report.html") && u != "data:," && !strings.HasPrefix(u, "blob:null/") {
			b.heard = append(b.heard, "request of "+u)
		}
	case *pages.EventJavascriptDialogOpening:
		b.dialogs++
	}
}

// quiet fails when the page has said or asked for anything.
func (b *reader) quiet() {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range b.heard {
		b.Error(h)
	}
	if b.dialogs > 0 {
		b.Errorf("%d dialogs", b.dialogs)
	}
}

// eval runs JavaScript in the page.
func eval[T any](b *reader, script string) T {
	b.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script))
	if err != nil {
		b.Fatalf("%s: %v", script, err)
	}
	return v
}

func (b *reader) press(keys string) { b.Helper(); b.must(chromedp.Do(b.ctx, chromedp.KeyEvent(keys))) }

func (b *reader) click(selector string) {
	b.Helper()
	b.must(chromedp.Do(b.ctx, chromedp.Click(chromedp.CSS(selector))))
}

// size makes the window so wide.
func (b *reader) size(width, height int64) {
	b.Helper()
	b.must(chromedp.Do(b.ctx, chromedp.EmulateViewport(width, height)))
	b.frame()
}

// frame waits until what was changed is drawn.
func (b *reader) frame() {
	b.Helper()
	_, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => r(true))))", chromedp.EvalAwaitPromise))
	b.must(err)
}

// media makes the page think that it is printed, or that its reader likes it dark.
func (b *reader) media(kind, scheme string) {
	b.Helper()
	b.call(func() error {
		_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: kind,
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return err
	})
	b.frame()
}

// picture keeps a picture of the whole page with the test's artifacts
// (go test -artifacts).
func (b *reader) picture(name string) {
	b.Helper()
	raw, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	b.must(err)
	b.must(os.WriteFile(filepath.Join(b.ArtifactDir(), name+".png"), raw, 0o644))
}

type box struct{ Left, Right, Top, Bottom float64 }

// boxOf is where an element is, in shares of another's width and height.
func (b *reader) boxOf(selector, within string) box {
	b.Helper()
	return eval[box](b, fmt.Sprintf(`(() => { const a = document.querySelector(%q).getBoundingClientRect(), b = document.querySelector(%q).getBoundingClientRect();
		return { Left: (a.left - b.left) / b.width, Right: (a.right - b.left) / b.width, Top: (a.top - b.top) / b.height, Bottom: (a.bottom - b.top) / b.height } })()`, selector, within))
}

func (b *reader) near(what string, got, want, tolerance float64) {
	b.Helper()
	if math.Abs(got-want) > tolerance {
		b.Errorf("%s is at %.4f, want %.4f", what, got, want)
	}
}
