# The disk of one instance has no room left.
#
#   faultline catalog disk-full    explains it, with all inputs

scenario "disk-full" {
  title       = "The service gets well after its disk was full"
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

variable "path" {
  type        = string
  default     = "/var/lib/data"
  description = "a folder in the file system that becomes full, as the container sees it"
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

experiment "disk-full" {
  source       = "catalog:disk-full"
  steady_state = [steady_state.serving]
  baseline     = "10s"
  observe      = "15s"
  inputs = {
    labels   = var.labels
    path     = var.path
    in_use   = "95%"
    duration = "20s"
  }
}

limits {
  max_targets = 1
}
