package web

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

type spoilKey struct{}

// errCut breaks an answer off.
var errCut = errors.New("the body is cut off here")

// spoil lets the faults that hit a request have the body of its answer.
func spoil(r *http.Response) error {
	hits, _ := r.Request.Context().Value(spoilKey{}).([]*struck)
	for _, h := range hits {
		e := h.Effect.(Body)
		switch {
		case e.Replace != nil:
			r.Body.Close()
			r.Body = io.NopCloser(strings.NewReader(*e.Replace))
			r.ContentLength = int64(len(*e.Replace))
			r.TransferEncoding, r.Trailer = nil, nil
			for _, name := range []string{"Content-Encoding", "Etag", "Content-Md5", "Digest", "Trailer", "Accept-Ranges"} {
				r.Header.Del(name) // said of another body
			}
			r.Header.Set("Content-Length", strconv.Itoa(len(*e.Replace)))
			if e.ContentType != "" {
				r.Header.Set("Content-Type", e.ContentType)
			}
			h.did(0)
		case e.Truncate != nil:
			r.Body = &cutBody{ReadCloser: r.Body, left: *e.Truncate, hit: h}
		default:
			r.Body = &corruptBody{ReadCloser: r.Body, share: e.Corrupt / 100, hit: h}
		}
	}
	return nil
}

// cutBody breaks off where more would follow.
type cutBody struct {
	io.ReadCloser
	left int64
	hit  *struck
	cut  bool
}

func (b *cutBody) Read(p []byte) (int, error) {
	if b.left > 0 {
		n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
		b.left -= int64(n)
		return n, err
	}
	n, err := b.ReadCloser.Read(p[:min(1, len(p))])
	if n == 0 {
		return 0, err // it was not longer than that
	}
	if !b.cut {
		b.cut = true
		b.hit.did(0)
	}
	return 0, errCut
}

// corruptBody flips a bit in some bytes.
type corruptBody struct {
	io.ReadCloser
	share  float64
	hit    *struck
	spoilt bool
}

func (b *corruptBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	for i := range p[:n] {
		if b.hit.rng.Float64() >= b.share {
			continue
		}
		p[i] ^= 1 << b.hit.rng.IntN(8)
		if !b.spoilt {
			b.spoilt = true
			b.hit.did(0)
		}
	}
	return n, err
}
