# Chaos Monkey: one instance of a group dies, drawn at random. The oldest chaos
# experiment there is, and the first that a service should survive.

scenario "chaos-monkey" {
  title       = "The service survives losing one instance"
  environment = var.environment
}

variable "environment" {
  type        = string
  default     = "staging"
  description = "limits and policies are keyed on it"
}
variable "url" {
  type        = string
  description = "what a customer would ask for, through the load balancer"
}
variable "labels" {
  type        = map(string)
  description = "labels that all containers of the group have"
}

# 100 requests a second for 10 s are 1000 samples; 99 % takes 299 without a bad one.
probe "http" "service" {
  url     = var.url
  rate    = 100
  timeout = "1s"
}

steady_state "serving" {
  objective "available" {
    probe  = probe.http.service
    good   = sample.ok
    target = 0.99
  }
}

target "docker_container" "instance" {
  match { label = var.labels }
  filter { condition = candidate.state == "running" }
  pick { count = 1 }
}

experiment "lose-an-instance" {
  hypothesis     = "When one instance dies, customers notice nothing"
  steady_state   = [steady_state.serving]
  baseline       = "10s"
  observe        = "15s"
  recover_within = "30s"

  fault "docker_kill" "instance" {
    target   = target.docker_container.instance
    duration = "10s"
  }
}

limits {
  max_targets = 1
  max_percent = 50 # never the half of the group or more than that by accident
}
