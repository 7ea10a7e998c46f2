#include <string.h>

#include "policy/rego/arguments.h"
#include "policy/rego/builtins_table.h"

#define BUILTIN_PROTOTYPE(name, n, function) builtin_function builtin_##function;
BUILTIN_ROWS_UNITS(BUILTIN_PROTOTYPE)
#undef BUILTIN_PROTOTYPE

static bool is_digit(char ch)
{
    return ch >= '0' && ch <= '9';
}

/* Length of the number in front; an e belongs to it only with digits behind. */
static size_t number_len(const char *at, size_t len)
{
    size_t i = 0;

    for (; i < len; i++) {
        bool is_e = at[i] == 'e' || at[i] == 'E';

        if (!is_digit(at[i]) && at[i] != '.' && at[i] != '+' && at[i] != '-' && !is_e)
            break;
        if (is_e && (i + 1 == len || (!is_digit(at[i + 1]) && at[i + 1] != '+' && at[i + 1] != '-')))
            break;
    }
    return i;
}

/* Factor of a unit with powers of ten or, with an i, of two. */
static bool factor_of(const char *at, size_t len, bool bytes, int64_t *out)
{
    static const char letters[] = "kmgtpe";
    const char       *letter;
    int               power;

    if (bytes && len > 0 && (at[len - 1] | 0x20) == 'b')
        len--;
    *out = 1;
    if (len == 0)
        return true;
    letter = strchr(letters, at[0] | 0x20);
    if (!letter || len > 2 || (len == 2 && (at[1] | 0x20) != 'i'))
        return false;
    for (power = (int) (letter - letters) + 1; power > 0; power--)
        *out *= len == 2 ? 1024 : 1000;
    return true;
}

struct words {
    const char *nothing, *no_number, *unknown;
};

/* Digits without a point times ten to -`scale`: exact, as OPA's rational numbers are. */
struct amount {
    struct value digits;
    int64_t      scale;
};

/* Digits with a sign; number_read has bounded them. */
static int64_t exponent_of(const char *at, size_t len)
{
    int64_t e = 0;

    for (size_t i = at[0] == '-' || at[0] == '+'; i < len; i++)
        e = e * 10 + (at[i] - '0');
    return at[0] == '-' ? -e : e;
}

/* .5 and 5. are numbers here. */
static bool read_amount(struct call *c, const struct words *words, const char *at, size_t len, struct amount *out)
{
    struct text_out t = text_for(c), all = text_for(c);
    struct value    text, judged;
    struct err      err;
    bool            has_point = false;
    size_t          i, has_minus = len > 0 && at[0] == '-';

    if (len > 0 && at[0] == '.')
        text_put_char(&t, '0');
    text_put(&t, at, len > 0 && at[len - 1] == '.' ? len - 1 : len);
    if (!text_take(&t, &text))
        return false;
    if (!number_read(text.text, text.len, &judged, &err))
        return err.kind == ERR_LIMIT ? builtin_error(c, "exponent too large") : builtin_error(c, "%s", words->no_number);
    *out = (struct amount){ 0 };
    for (i = 0; i < text.len && (text.text[i] | 0x20) != 'e'; i++) {
        if (text.text[i] == '.') {
            has_point = true;
            continue;
        }
        if (!(all.len == has_minus && text.text[i] == '0')) /* leading zeros would be no JSON */
            text_put_char(&all, text.text[i]);
        out->scale += has_point;
    }
    if (i < text.len)
        out->scale -= exponent_of(text.text + i + 1, text.len - i - 1);
    if (all.len == has_minus)
        text_put_char(&all, '0');
    if (!text_take(&all, &text))
        return false;
    return number_read(text.text, text.len, &out->digits, &err) || builtin_error(c, "%s", words->no_number);
}

/* Puts the point where it belongs; `whole`: without what is behind it. */
static bool place_point(struct call *c, struct value product, int64_t scale, bool whole, struct value *out)
{
    struct text_out t = text_for(c);
    char            spare[24];
    struct bytes    digits = number_text(product, spare);
    struct value    text;
    struct err      err;

    if (digits.at[0] == '-') {
        text_put_char(&t, '-');
        digits = (struct bytes){ digits.at + 1, digits.len - 1 };
    }
    while (scale > 0 && digits.len > 1 && (whole || digits.at[digits.len - 1] == '0')) {
        digits.len--;
        scale--;
    }
    if (whole && scale > 0)
        return give(out, value_int(0));
    if (scale > NUMBER_DIGITS_MAX || scale < -NUMBER_DIGITS_MAX)
        return builtin_error(c, "exponent too large");
    if (scale <= 0) {
        text_put(&t, (const char *) digits.at, digits.len);
        text_put_fill(&t, '0', product.is_decimal || product.integer ? (size_t) -scale : 0);
    } else if ((size_t) scale >= digits.len) {
        text_put(&t, "0.", 2);
        text_put_fill(&t, '0', (size_t) scale - digits.len);
        text_put(&t, (const char *) digits.at, digits.len);
    } else {
        text_put(&t, (const char *) digits.at, digits.len - (size_t) scale);
        text_put_char(&t, '.');
        text_put(&t, (const char *) digits.at + digits.len - (size_t) scale, (size_t) scale);
    }
    if (!text_take(&t, &text))
        return false;
    return number_read(text.text, text.len, out, &err) || builtin_error(c, "exponent too large");
}

static bool parse(struct call *c, const struct value *args, bool bytes, const struct words *words, struct value *out)
{
    const char   *at;
    size_t        len, n;
    int64_t       factor = 1;
    struct amount amount;

    if (!want(c, args, 0, VALUE_STRING) || !charge_bytes(c, args[0].len))
        return false;
    at  = args[0].text;
    len = args[0].len;
    while (len > 0 && *at == '"') {
        at++;
        len--;
    }
    while (len > 0 && at[len - 1] == '"')
        len--;
    if (len > 0 && memchr(at, ' ', len))
        return builtin_error(c, "spaces not allowed in resource strings");
    n = number_len(at, len);
    if (n == 0)
        return builtin_error(c, "%s", words->nothing);
    if (!read_amount(c, words, at, n, &amount))
        return false;
    if (!bytes && len - n == 1 && at[n] == 'm')
        amount.scale += 3;
    else if (!factor_of(at + n, len - n, bytes, &factor))
        return builtin_error(c, "%s", words->unknown);
    if (amount.digits.is_decimal && !charge(c, amount.digits.len))
        return false;
    return number_multiply(c->arena, amount.digits, value_int(factor), &amount.digits) &&
           place_point(c, amount.digits, amount.scale, bytes, out);
}

bool builtin_units_parse(struct call *c, const struct value *args, struct value *out)
{
    static const struct words words = { "no amount provided", "could not parse amount to a number", "unit not recognized" };

    return parse(c, args, false, &words, out);
}

bool builtin_units_parse_bytes(struct call *c, const struct value *args, struct value *out)
{
    static const struct words words = { "no byte amount provided", "could not parse byte amount to a number", "byte unit not recognized" };

    return parse(c, args, true, &words, out);
}
