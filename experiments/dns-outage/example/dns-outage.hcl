# Names cannot be looked up any more.
#
#   faultline catalog dns-outage    explains it, with all inputs

scenario "dns-outage" {
  title       = "The service gets well after names could not be looked up"
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
  description = "labels of the containers whose questions go wrong"
}

variable "names" {
  type        = list(string)
  default     = ["*"]
  description = "the names that are answered wrongly"
}

variable "max_targets" {
  type        = number
  default     = 5
  description = "no more containers than this may be deceived"
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

experiment "dns-outage" {
  source       = "catalog:dns-outage"
  steady_state = [steady_state.serving]
  baseline     = "10s"
  observe      = "15s"
  inputs = {
    labels   = var.labels
    names    = var.names
    duration = "20s"
  }
}

limits {
  max_targets = var.max_targets
}
