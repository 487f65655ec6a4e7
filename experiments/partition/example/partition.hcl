# Part of the system is cut off from the rest.
#
#   faultline catalog partition    explains it, with all inputs

scenario "partition" {
  title       = "The service gets well after a partition"
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
  description = "labels of the containers that are cut off"
}

variable "from" {
  type        = list(string)
  default     = []
  description = "whom they are cut off from: addresses, networks or host names"
}

variable "max_targets" {
  type        = number
  default     = 3
  description = "no more containers than this may be cut off"
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

experiment "partition" {
  source       = "catalog:partition"
  steady_state = [steady_state.serving]
  baseline     = "10s"
  observe      = "15s"
  inputs = {
    labels   = var.labels
    from     = var.from
    duration = "10s"
  }
}

limits {
  max_targets = var.max_targets
}
