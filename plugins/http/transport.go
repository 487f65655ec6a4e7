package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// tlsConfig is the tls block. Keys are named by file, so that none is written down.
type tlsConfig struct {
	CAFile             string `hcl:"ca_file,optional" doc:"PEM file of the authorities to trust, instead of the system's."`
	CertFile           string `hcl:"cert_file,optional" doc:"PEM file of the client's certificate."`
	KeyFile            string `hcl:"key_file,optional" doc:"PEM file of the client's key."`
	ServerName         string `hcl:"server_name,optional" doc:"The name that the server's certificate must have. Default: the URL's host."`
	InsecureSkipVerify bool   `hcl:"insecure_skip_verify" default:"false" doc:"Believe any certificate."`
}

func (t *tlsConfig) check() error {
	if t != nil && (t.CertFile == "") != (t.KeyFile == "") {
		return errors.New("tls: cert_file and key_file belong together")
	}
	return nil
}

func (t *tlsConfig) load() (*tls.Config, error) {
	if t == nil {
		return &tls.Config{}, nil
	}
	out := &tls.Config{ServerName: t.ServerName, InsecureSkipVerify: t.InsecureSkipVerify}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls: ca_file: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls: ca_file %s holds no certificate", t.CAFile)
		}
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("tls: client certificate: %w", err)
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}

const (
	// An open loop has as many requests under way as the system is slow; every one of
	// their connections is worth keeping for the next wave.
	idleConnections = 4096
	idleTime        = 30 * time.Second
	// A dial outlives the request that asked for it, because another may use the
	// connection; this bounds it.
	dialTime = 10 * time.Second
)

func (c config) transport() (*http.Transport, error) {
	secure, err := c.TLS.load()
	if err != nil {
		return nil, err
	}
	t := &http.Transport{
		DialContext:            (&net.Dialer{Timeout: dialTime}).DialContext,
		TLSClientConfig:        secure,
		TLSHandshakeTimeout:    dialTime,
		MaxIdleConnsPerHost:    idleConnections,
		IdleConnTimeout:        idleTime,
		DisableKeepAlives:      !c.Reuse,
		DisableCompression:     true, // the body is what the server sends
		MaxResponseHeaderBytes: 1 << 20,
		Protocols:              new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	t.Protocols.SetHTTP2(c.HTTP2)
	if c.Proxy {
		t.Proxy = http.ProxyFromEnvironment
	}
	return t, nil
}
