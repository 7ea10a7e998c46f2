/* What the guest's kernel must no longer do once the agent's modules are loaded. */
#pragma once

#include <stddef.h>

#include "base/err.h"

struct sysctl_row {
    const char *path;          /* below /proc/sys */
    const char *value;
    bool        may_be_absent; /* when this kernel was built without it */
};

extern const struct sysctl_row sysctl_rows[];
extern const size_t            n_sysctl_rows;

/* Writes every row; `root` is "/proc/sys". Fails OS with the row's name. */
FALLIBLE sysctls_write(const char *root, struct err *err);
