# Something that the service needs is down, all of it.
#
#   faultline catalog dependency-down    explains it, with all inputs

scenario "dependency-down" {
  title       = "The service gets well after a dependency was down"
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
  description = "labels that the dependency's containers have"
}

variable "max_targets" {
  type        = number
  default     = 3
  description = "the dependency may not have more containers than this"
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

experiment "dependency-down" {
  source       = "catalog:dependency-down"
  steady_state = [steady_state.serving]
  baseline     = "10s"
  observe      = "15s"
  inputs = {
    labels   = var.labels
    duration = "10s"
  }
}

limits {
  max_targets = var.max_targets
}
