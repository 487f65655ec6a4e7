# For `faultline plugin test bin/faultline-plugin-sign cases.hcl`.

fault "sign_close" {
  target  = ["sh", "-c", "d=$(mktemp -d) && printf '{\"id\": \"%s\", \"name\": \"folder\"}' $d"]
  bitten  = ["sh", "-c", "test -e $(sed 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/')/CLOSED"]
  state   = ["sh", "-c", "ls -a $(sed 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/')"]
  destroy = ["sh", "-c", "rm -r $(sed 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/')"]
  cleanup = ["sh", "-c", "rm -rf $(sed 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/')"]
}
