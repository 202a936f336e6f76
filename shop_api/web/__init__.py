"""The HTTP kit every endpoint is made with: routes, parsing, paging, answers, problems."""
