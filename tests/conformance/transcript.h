/* A transcript of a conversation with a key broker, with all that differs from run to run masked: a golden file. */
#pragma once

#include <stdio.h>

#include "keys/client/http.h"

/* One exchange; long bodies are cut. */
void transcript_write(FILE *to, const struct http_request *request, const struct http_answer *answer);
