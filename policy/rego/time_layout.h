/* Times as text by Go's layouts: "2006-01-02T15:04:05Z07:00" and its named constants. */
#pragma once

#include "policy/rego/calendar.h"
#include "policy/rego/json.h"

struct bytes time_layout_named(struct bytes layout); /* "RFC822Z" and the like become the layout they mean */
void         time_layout_write(struct text_out *t, struct bytes layout, const struct moment *m);
FALLIBLE     time_layout_read(struct bytes layout, struct bytes text, struct moment *out, struct err *err);
