package live

import (
	"io"
	"strings"
	"time"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/term"
)

const (
	redraw    = 200 * time.Millisecond
	mostRows  = 24              // of the picture
	confirm   = 3 * time.Second // within which h is pressed again
	flashTime = 4 * time.Second // for which the answer to a key is shown
)

// picture draws on a terminal.
type picture struct {
	program *tea.Program
	state   *state
	out     io.Writer
	restore func() // the terminal's mode
}

func newPicture(s *state, o Options) *picture {
	m := &model{state: s, keys: o.Keys, palette: newPalette(o.Color), width: 80, height: 24, keyboard: o.In != nil}
	m.input = textinput.New()
	m.input.CharLimit = 500
	profile := colorprofile.Ascii
	if o.Color {
		profile = colorprofile.Env(o.Env)
	}
	options := []tea.ProgramOption{
		tea.WithOutput(o.Out), tea.WithInput(o.In), tea.WithEnvironment(o.Env), tea.WithColorProfile(profile),
		tea.WithoutSignalHandler(), // signals are the run's
	}
	p := &picture{program: tea.NewProgram(m, options...), state: s, out: o.Out, restore: func() {}}
	if f, ok := o.In.(term.File); ok {
		if old, err := term.GetState(f.Fd()); err == nil {
			p.restore = func() { _ = term.Restore(f.Fd(), old) }
		}
	}
	return p
}

func (p *picture) run() {
	_, _ = p.program.Run() // an error is of the terminal: the run does without
	p.restore()
	writeLines(p.out, p.state.takeLines(0))
}

func (p *picture) more()    {} // it looks at every tick
func (p *picture) stop()    { go p.program.Send(endMsg{}) }
func (p *picture) abandon() { p.restore() }

type (
	tickMsg time.Time
	endMsg  struct{}
	// toldMsg is what came of a key.
	toldMsg struct{ text string }
)

// model is the picture between two events of the terminal.
type model struct {
	state         *state
	keys          Keys
	palette       palette
	width, height int
	keyboard      bool

	now      time.Time
	noting   bool // a note is typed
	asking   bool // an answer is typed
	input    textinput.Model
	armed    time.Time // h was pressed once
	flash    string
	flashEnd time.Time
	over     bool
}

func tick() tea.Cmd {
	return tea.Tick(redraw, func(t time.Time) tea.Msg { return tickMsg(t) })
}

func (m *model) Init() tea.Cmd {
	m.now = time.Now()
	return tick()
}

func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		if msg.Width > 0 && msg.Height > 0 {
			m.width, m.height = msg.Width, msg.Height
		}
	case tickMsg:
		m.now = time.Time(msg)
		m.look()
		// Lines that do not fit above the picture at once come with the next ticks.
		if above := m.state.takeLines(max(m.height-m.rows()-2, 1)); len(above) > 0 {
			return m, tea.Sequence(tea.Println(fold(above, m.width)), tick())
		}
		return m, tick()
	case endMsg:
		m.over = true
		return m, tea.Quit
	case toldMsg:
		m.say(msg.text)
	case tea.KeyPressMsg:
		return m, m.key(msg)
	}
	return m, nil
}

// hang is how far in the further lines of a long one begin: below its text.
const hang = 16

// fold breaks long lines between words.
func fold(lines []string, width int) string {
	var out []string
	for _, l := range lines {
		whole := ansi.Wrap(l, max(width-hang-1, 20), " ")
		out = append(out, strings.ReplaceAll(whole, "\n", "\n"+strings.Repeat(" ", hang)))
	}
	return strings.Join(out, "\n")
}

// look sees whether a prompt waits: then what is typed is its answer.
func (m *model) look() {
	m.state.mu.Lock()
	waits := m.state.asking != "" && m.keyboard
	m.state.mu.Unlock()
	switch {
	case waits && !m.asking:
		m.asking, m.noting = true, false
		m.write("answer: ", `continue or stop, and Enter`)
	case !waits && m.asking:
		m.asking = false
		m.input.Blur()
	}
}

// write begins a line of input.
func (m *model) write(prompt, hint string) {
	m.input.Reset()
	m.input.Prompt, m.input.Placeholder = prompt, hint
	m.input.SetWidth(max(m.width-len(prompt)-4, 10))
	m.input.Focus()
}

func (m *model) say(text string) { m.flash, m.flashEnd = printable(text), m.now.Add(flashTime) }

func (m *model) key(k tea.KeyPressMsg) tea.Cmd {
	if k.String() == "ctrl+c" {
		m.keys.Interrupt()
		return nil
	}
	if m.asking || m.noting {
		return m.typed(k)
	}
	switch k.String() {
	case "n":
		m.noting = true
		m.write("note: ", "Enter puts it on record, Esc forgets it")
	case "d":
		return m.tell("detected", "")
	case "m":
		return m.tell("mitigated", "")
	case "h":
		if m.now.Sub(m.armed) > confirm {
			m.armed = m.now
			m.say("press h again to halt: everything is put back, and no run begins until the halt is released")
			return nil
		}
		m.armed = time.Time{}
		return do("halting", m.keys.Halt)
	}
	return nil
}

func (m *model) typed(k tea.KeyPressMsg) tea.Cmd {
	switch k.String() {
	case "esc":
		if m.noting {
			m.noting = false
			m.input.Blur()
		}
		m.input.Reset()
		return nil
	case "enter", "ctrl+j":
		text := strings.TrimSpace(m.input.Value())
		m.input.Reset()
		if m.asking {
			return func() tea.Msg {
				m.keys.Answer(text)
				return nil
			}
		}
		m.noting = false
		m.input.Blur()
		if text == "" {
			return nil
		}
		return m.tell("note", text)
	}
	var cmd tea.Cmd
	m.input, cmd = m.input.Update(k)
	return cmd
}

func (m *model) tell(what, text string) tea.Cmd {
	return do("on record: "+what, func() error { return m.keys.Tell(what, text) })
}

// do does something for a key, outside of what draws, and says what came of it.
func do(done string, f func() error) tea.Cmd {
	return func() tea.Msg {
		if err := f(); err != nil {
			return toldMsg{err.Error()}
		}
		return toldMsg{done}
	}
}

// rows is how many lines the picture may have.
func (m *model) rows() int { return max(min(m.height-4, mostRows), 1) }

func (m *model) View() tea.View {
	if m.over {
		return tea.NewView("")
	}
	m.state.mu.Lock()
	lines := m.state.frame(m.now, m.width-1, m.rows(), m.palette)
	m.state.mu.Unlock()
	if m.keyboard && len(lines) > 0 {
		lines = append(lines, m.footer())
	}
	return tea.NewView(strings.Join(lines, "\n"))
}

// footer is what the keyboard is for.
func (m *model) footer() string {
	switch {
	case m.asking || m.noting:
		return m.input.View()
	case m.flash != "" && m.now.Before(m.flashEnd):
		return m.palette.title.Render(cut("  "+m.flash, m.width-1))
	}
	return m.palette.quiet.Render(cut("  h halt · n note · d detected · m mitigated · Ctrl-C stop this run", m.width-1))
}
