# Chaos Kong: a region is drained, taken down, and brought back, with hold points at which
# somebody says whether to go on.
#
#   faultline catalog chaos-kong    explains it, with all inputs

scenario "chaos-kong" {
  title       = "The service survives losing a region"
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
  description = "labels that all containers of the group have"
}

variable "region" {
  type        = string
  description = "the region that is drained"
}

variable "failover" {
  type        = list(string)
  default     = []
  description = "command that moves the traffic away"
}

variable "failback" {
  type        = list(string)
  default     = []
  description = "command that brings it back"
}

variable "max_targets" {
  type        = number
  default     = 20
  description = "the region may not have more instances than this"
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

experiment "chaos-kong" {
  source       = "catalog:chaos-kong"
  steady_state = [steady_state.serving]
  baseline     = "10s"
  observe      = "20s"
  inputs = {
    labels   = var.labels
    region   = var.region
    failover = var.failover
    failback = var.failback
    least    = "20s"
  }
}

limits {
  max_targets = var.max_targets
}
