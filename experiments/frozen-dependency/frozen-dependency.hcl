# Frozen dependency: something that the service needs hangs, without closing its
# connections. Timeouts, pools and retries are tested by this as by nothing else: a
# dead dependency answers quicker than a frozen one.

scenario "frozen-dependency" {
  title       = "The service gets well after a dependency hung"
  environment = var.environment
}

variable "environment" {
  type        = string
  default     = "staging"
  description = "limits and policies are keyed on it"
}
variable "url" {
  type        = string
  description = "what a customer would ask for"
}
variable "labels" {
  type        = map(string)
  description = "labels that the dependency's container has"
}

probe "http" "service" {
  url     = var.url
  rate    = 50
  timeout = "2s"
}

steady_state "serving" {
  objective "available" {
    probe  = probe.http.service
    good   = sample.ok
    target = 0.99
  }
  objective "fast" {
    probe  = probe.http.service
    good   = sample.latency < 0.5
    target = 0.95
  }
}

target "docker_container" "dependency" {
  match { label = var.labels }
  filter { condition = candidate.state == "running" }
}

experiment "dependency-hangs" {
  hypothesis     = "When the dependency hangs for 10 s, the service works again within 20 s of its return"
  steady_state   = [steady_state.serving]
  expect         = "recover" # while it hangs, failing is allowed; staying broken is not
  baseline       = "10s"
  observe        = "15s"
  recover_within = "20s"

  fault "docker_pause" "dependency" {
    target   = target.docker_container.dependency
    duration = "10s"
  }
}

limits {
  max_targets = 1
}
