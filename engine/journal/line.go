package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// A line is one JSON object with its members in this order, and a newline:
//
//	{"v":1,"seq":7,"t":"2026-11-22T10:00:00.123456789Z","epoch":1,"type":"mark","data":{…},"sum":"0123456789abcdef"}
//
// sum is the first 16 hexadecimal digits of the SHA-256 of the sum of the line
// before (16 digits; nothing for the first line), followed by this line's own bytes
// up to, not including, `,"sum":`. Spaces between the closing brace and the newline
// mean nothing. The sum finds damage, and lines that were taken out or put in; it
// is no signature.

const (
	sumDigits = 16
	sumKey    = `,"sum":"`
	sumEnd    = `"}`
	sumLen    = len(sumKey) + sumDigits + len(sumEnd)

	// longestLine bounds a line, in bytes: what a reader must hold in memory.
	longestLine = 64 << 20
)

var (
	// ErrTooNew says that a journal was written by a newer faultline.
	ErrTooNew = errors.New("written by a newer faultline: upgrade this one to read it")
	// ErrDamaged says that a journal is not as it was written.
	ErrDamaged = errors.New("the journal is damaged")

	errNoJSON = errors.New("not a whole JSON object")
)

func sumOf(before string, body []byte) string {
	h := sha256.New()
	h.Write([]byte(before))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))[:sumDigits]
}

// encodeLine makes the line of an event, and its sum. The line has no newline yet.
func encodeLine(e Event, before string) (line []byte, sum string, err error) {
	typ := e.Data.EventType()
	if _, err := newData(typ); err != nil {
		return nil, "", err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"v":%d,"seq":%d,"t":"%s","epoch":%d,"type":"%s","data":`,
		Version, e.Seq, e.Time.Format(time.RFC3339Nano), e.Epoch, typ)
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // conditions such as "latency < 0.3" stay readable
	if err := enc.Encode(e.Data); err != nil {
		return nil, "", fmt.Errorf("encode event %s: %w", typ, err)
	}
	b.Truncate(b.Len() - 1) // the encoder's newline
	sum = sumOf(before, b.Bytes())
	b.WriteString(sumKey)
	b.WriteString(sum)
	b.WriteString(sumEnd)
	if b.Len() >= longestLine {
		return nil, "", fmt.Errorf("encode event %s: %d bytes are more than a line may have (%d)", typ, b.Len(), longestLine)
	}
	return b.Bytes(), sum, nil
}

// head is a line without its data.
type head struct {
	V     int       `json:"v"`
	Seq   int64     `json:"seq"`
	Time  time.Time `json:"t"`
	Epoch int       `json:"epoch"`
	Type  string    `json:"type"`
}

// checkVersion comes before everything else: a newer format may differ in the rest.
func checkVersion(line []byte) error {
	if bytes.HasPrefix(line, []byte(`{"v":1,`)) && Version == 1 {
		return nil
	}
	var h struct {
		V int `json:"v"`
	}
	if err := json.Unmarshal(line, &h); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return errNoJSON
		}
		return fmt.Errorf("%w: no event of a journal: %w", ErrDamaged, err)
	}
	if h.V > Version {
		return fmt.Errorf("format %d, this faultline reads up to %d: %w", h.V, Version, ErrTooNew)
	}
	if h.V < 1 {
		return fmt.Errorf("%w: no event of a journal", ErrDamaged)
	}
	return nil
}

// decodeLine reads a line (without its newline) that follows one with the sum
// before and the event last.
func decodeLine(line []byte, before string, last Event) (Event, string, error) {
	line = bytes.TrimRight(line, " ")
	if err := checkVersion(line); err != nil {
		return Event{}, "", err
	}
	h, data, decoded := decodeUsual(line)
	if !decoded && !json.Valid(line) {
		return Event{}, "", errNoJSON
	}
	body, sum, ok := cutSum(line)
	if !ok {
		return Event{}, "", fmt.Errorf("%w: a line without a checksum", ErrDamaged)
	}
	if sum != sumOf(before, body) {
		return Event{}, "", fmt.Errorf("%w: the checksum does not fit: the line, or the one before it, was changed or is missing", ErrDamaged)
	}
	var raw json.RawMessage
	if !decoded {
		var whole struct {
			head
			Data json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal(line, &whole); err != nil {
			return Event{}, "", fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		h, raw = whole.head, whole.Data
	}
	if h.Seq != last.Seq+1 {
		return Event{}, "", fmt.Errorf("%w: event %d follows event %d", ErrDamaged, h.Seq, last.Seq)
	}
	if h.Epoch < last.Epoch {
		return Event{}, "", fmt.Errorf("%w: epoch %d follows epoch %d", ErrDamaged, h.Epoch, last.Epoch)
	}
	if !decoded {
		var err error
		if data, err = newData(h.Type); err != nil {
			return Event{}, "", fmt.Errorf("%w: it needs a newer faultline", err)
		}
		if err := json.Unmarshal(raw, data); err != nil {
			return Event{}, "", fmt.Errorf("%w: event %s: %w", ErrDamaged, h.Type, err)
		}
	}
	return Event{Seq: h.Seq, Time: h.Time, Epoch: h.Epoch, Data: data}, sum, nil
}

// checkSamples checks a line as decodeLine does, when it is one of samples in its usual
// form, without decoding its columns: the sum vouches for them.
func checkSamples(line []byte, before string, last Event) (Event, string, bool) {
	line = bytes.TrimRight(line, " ")
	h, ok := samplesHead(line)
	if !ok || h.Seq != last.Seq+1 || h.Epoch < last.Epoch {
		return Event{}, "", false
	}
	body, sum, ok := cutSum(line)
	if !ok || sum != sumOf(before, body) {
		return Event{}, "", false
	}
	return Event{Seq: h.Seq, Time: h.Time, Epoch: h.Epoch}, sum, true
}

// decodeUsual decodes a line of samples of the usual form, which has nothing behind its
// data but the sum.
func decodeUsual(line []byte) (head, Data, bool) {
	h, s, rest, ok := fastSamples(line)
	if !ok || len(rest) != sumLen || !bytes.HasPrefix(rest, []byte(sumKey)) || !bytes.HasSuffix(rest, []byte(sumEnd)) ||
		bytes.ContainsFunc(rest[len(sumKey):sumLen-len(sumEnd)], func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'f') }) {
		return head{}, nil, false
	}
	return h, s, true
}

func cutSum(line []byte) (body []byte, sum string, ok bool) {
	at := len(line) - sumLen
	if at < 1 || string(line[at:at+len(sumKey)]) != sumKey || !bytes.HasSuffix(line, []byte(sumEnd)) {
		return nil, "", false
	}
	return line[:at], string(line[at+len(sumKey) : len(line)-len(sumEnd)]), true
}
