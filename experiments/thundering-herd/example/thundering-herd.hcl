# Every instance of a group restarts at the same moment.
#
#   faultline catalog thundering-herd    explains it, with all inputs

scenario "thundering-herd" {
  title       = "The service gets up again when all of it restarts at once"
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
  default     = 10
  description = "the group may not have more instances than this"
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

experiment "thundering-herd" {
  source       = "catalog:thundering-herd"
  steady_state = [steady_state.serving]
  baseline     = "10s"
  observe      = "15s"
  inputs = {
    labels = var.labels
  }
}

limits {
  max_targets = var.max_targets
}
