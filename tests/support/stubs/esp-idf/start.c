/* start.c: what ESP-IDF's startup does at its end. */
void app_main(void);

int main(void)
{
    app_main();
    return 0;
}
