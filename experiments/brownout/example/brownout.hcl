# Processors are short, and everything gets slower.
#
#   faultline catalog brownout    explains it, with all inputs

scenario "brownout" {
  title       = "The service serves while processors are short"
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

variable "max_targets" {
  type        = number
  default     = 5
  description = "no more containers than this may be under pressure"
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

experiment "brownout" {
  source       = "catalog:brownout"
  steady_state = [steady_state.serving]
  baseline     = "10s"
  observe      = "15s"
  inputs = {
    labels   = var.labels
    percent  = 50
    duration = "20s"
  }
}

limits {
  max_targets = var.max_targets
}
