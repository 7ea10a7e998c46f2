/* How our error kinds travel: as the status codes that ttrpc shares with gRPC, and back. */
#pragma once

#include <stdint.h>

#include "base/err.h"

int32_t       status_of_kind(enum err_kind kind);
enum err_kind status_kind(int32_t code); /* ERR_OS for a code that no kind of ours has */
