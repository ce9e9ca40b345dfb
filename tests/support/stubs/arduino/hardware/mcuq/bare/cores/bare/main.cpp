/* main.cpp: the core of an emulated board; after one turn of loop its program ends. */
#include "Arduino.h"
#include "bare.h"

Port Serial;

unsigned long micros(void)
{
    return bare_micros();
}

unsigned long millis(void)
{
    return bare_micros() / 1000U;
}

void Port::print(unsigned long value)
{
    char text[12] = {};
    char *digit = text + 11;
    do {
        *--digit = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    bare_print(digit);
}

void Port::print(int value)
{
    if (value < 0) {
        bare_print("-");
    }
    print((unsigned long)(value < 0 ? -value : value));
}

void Port::print(const char *text)
{
    bare_print(text);
}

void Port::println(const char *text)
{
    bare_print(text);
    bare_print("\n");
}

int main()
{
    setup();
    loop();
    return 0;
}
