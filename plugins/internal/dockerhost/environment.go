package dockerhost

import "github.com/faultline-go/faultline/sdk/schema"

// Environment are the variables that lead to an engine when no setting does, as they
// lead the docker command.
var Environment = []schema.EnvVar{
	{Name: "DOCKER_HOST", Doc: "Address of the Docker engine, where the settings have none."},
	{Name: "DOCKER_TLS_VERIFY", Doc: "Switches TLS on for an engine at tcp://."},
	{Name: "DOCKER_CERT_PATH", Doc: "Folder with ca.pem, cert.pem and key.pem for TLS."},
	{Name: "DOCKER_API_VERSION", Doc: "Version of the engine's API, where it is not negotiated."},
	{Name: "HTTP_PROXY", Doc: "Proxy on the way to an engine at tcp://."},
	{Name: "HTTPS_PROXY", Doc: "Proxy on the way to an engine with TLS."},
	{Name: "NO_PROXY", Doc: "Hosts that no proxy leads to."},
	{Name: "SSH_AUTH_SOCK", Doc: "The agent with the keys for an engine at ssh://."},
}
