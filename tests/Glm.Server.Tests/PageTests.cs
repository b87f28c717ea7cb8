using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace Glm.Server.Tests;

/// <summary>The page, used as a person uses it.</summary>
public sealed class PageTests(RunningServer server, Chromium chromium) : IClassFixture<RunningServer>, IClassFixture<Chromium>
{
    private const string Hostile = "<img src=x onerror=alert(1)><script>alert(2)</script>&amp;";

    [ChromiumFact]
    public async Task A_chat_streams_stops_and_answers_anew()
    {
        await using var page = await chromium.OpenAsync(server.Address);
        await Expect(page["#tab-chat"]).ToHaveAttributeAsync("aria-selected", "true");
        await AnswersMatchAsync(page, "[a-z]([a-z ]{1000}){3}[a-z]");
        await StopAtFirstWordsAsync(page);
        await page["#say"].FillAsync("Hello");
        await page["#say"].PressAsync("Enter");
        var answer = page["#messages li.assistant span"];
        await Expect(answer).ToHaveTextAsync(new Regex("[a-z ]{5}"));
        await Expect(page["#chat-form .main"]).ToHaveTextAsync("Send");
        string stopped = (await answer.TextContentAsync())!;
        Assert.InRange(stopped.Length, 5, 3001);
        await Expect(page["body"]).ToHaveAttributeAsync("data-pressed", "Stop");
        await page.PictureAsync("chat");
        await page["#regenerate"].ClickAsync();
        await Expect(answer).ToHaveTextAsync(new Regex("^[a-z ]{3002}$"));
        await Expect(page["#chat-form .main"]).ToHaveTextAsync("Send");
        await Expect(page["#messages li"]).ToHaveCountAsync(2);
        await page["#clear"].ClickAsync();
        await Expect(page["#messages li"]).ToHaveCountAsync(0);
        await Expect(page["#say"]).ToBeFocusedAsync();
        Assert.Empty(page.Problems);
    }

    [ChromiumFact]
    public async Task Text_of_people_and_of_models_stays_text()
    {
        await using var page = await chromium.OpenAsync(server.Address);
        await AnswersMatchAsync(page, Regex.Escape(Hostile));
        await page["#say"].FillAsync(Hostile);
        await page["#say"].PressAsync("Enter");
        await Expect(page["#messages li.user span"]).ToHaveTextAsync(Hostile);
        await Expect(page["#messages li.assistant span"]).ToHaveTextAsync(Hostile);
        await page.ChooseAsync("blanks", "fill");
        await page["#blanks"].FillAsync($"{Hostile} is [MASK]");
        await page["#fill-form .main"].ClickAsync();
        await Expect(page["#filled .result"]).ToContainTextAsync(Hostile);
        await page.ChooseAsync("blanks", "write");
        await page["#prompt"].FillAsync(Hostile);
        await page["#write-form .main"].ClickAsync();
        await Expect(page["#written .token.prompt"]).ToHaveTextAsync(Hostile);
        await page.ChooseAsync("blanks", "tokens");
        await page["#pieces"].FillAsync(Hostile);
        await page["#tokens-form .main"].ClickAsync();
        await Expect(page["#summary"]).ToContainTextAsync("bits");
        await Expect(page["main img, main script"]).ToHaveCountAsync(0);
        Assert.Empty(page.Problems);
    }

    [ChromiumFact]
    public async Task Blanks_show_alternatives_that_can_be_chosen()
    {
        await using var page = await chromium.OpenAsync(server.Address);
        await page.ChooseAsync("blanks", "fill");
        await page["#fill-form .main"].ClickAsync();
        await Expect(page["#filled fieldset"]).ToHaveCountAsync(2);
        await Expect(page["#filled fieldset button"]).ToHaveCountAsync(10);
        // The most probable one comes first.
        double[] probabilities = await page.Page.EvaluateAsync<double[]>("[...document.querySelector('#filled fieldset').querySelectorAll('meter')].map(meter => meter.value)");
        Assert.Equal(probabilities.OrderDescending(), probabilities);
        Assert.InRange(probabilities[0], 1e-6, 1);
        Assert.DoesNotContain("  ", await page["#filled .result"].TextContentAsync());
        await page.PictureAsync("fill");
        var other = page["#filled fieldset"].First.Locator("button").Nth(1);
        string text = (await other.Locator("span").First.TextContentAsync())!;
        await other.ClickAsync();
        await Expect(page["#filled fieldset"]).ToHaveCountAsync(1);
        if (text != "(nothing)") Assert.Contains(text, await page["#blanks"].InputValueAsync());
        Assert.Empty(page.Problems);
    }

    [ChromiumFact]
    public async Task Tokens_have_colours_and_ids()
    {
        await using var page = await chromium.OpenAsync(server.Address);
        await page.ChooseAsync("blanks", "write");
        await page["#write-form .main"].ClickAsync();
        await Expect(page["#written .token"].Nth(20)).ToBeVisibleAsync();
        await Expect(page["#write-form .main"]).ToHaveTextAsync("Go on");
        await page["#written .token"].Nth(8).HoverAsync();
        await Expect(page["#written .token"].Nth(8).Locator(".others")).ToContainTextAsync("%");
        await Expect(page["#written .token"].Nth(8).Locator(".others")).ToBeVisibleAsync();
        await page.PictureAsync("write");
        await page.ChooseAsync("blanks", "tokens");
        await page["#tokens-form .main"].ClickAsync();
        await Expect(page["#summary"]).ToContainTextAsync("bits");
        string[] texts = await page.Page.EvaluateAsync<string[]>("[...document.querySelectorAll('#shown .token')].map(token => token.firstChild.textContent)");
        Assert.Equal("The old house at the end of the street", string.Concat(texts).Trim());
        await Expect(page["#shown .token sub"]).ToHaveCountAsync(texts.Length);
        await page.PictureAsync("tokens");
        Assert.Empty(page.Problems);
    }

    [ChromiumFact]
    public async Task The_keyboard_is_enough()
    {
        await using var page = await chromium.OpenAsync(server.Address);
        await Expect(page["#model option"]).ToHaveCountAsync(2);
        var keys = page.Page.Keyboard;
        await keys.PressAsync("Tab");
        await Expect(page[".skip"]).ToBeFocusedAsync();
        await keys.PressAsync("Tab");
        await Expect(page["#model"]).ToBeFocusedAsync();
        await keys.PressAsync("ArrowDown");
        await Expect(page["#model"]).ToHaveValueAsync("blanks");
        await keys.PressAsync("Tab");
        await keys.PressAsync("Tab");
        await Expect(page["#tab-chat"]).ToBeFocusedAsync();
        await keys.PressAsync("ArrowRight");
        await Expect(page["#tab-fill"]).ToBeFocusedAsync();
        await keys.PressAsync("Tab");
        await Expect(page["#blanks"]).ToBeFocusedAsync();
        await keys.PressAsync("Control+a");
        await keys.TypeAsync("It was [MASK].");
        await keys.PressAsync("Tab");
        await keys.PressAsync("Enter");
        await Expect(page["#filled fieldset button"]).ToHaveCountAsync(5);
        for (int i = 0; i < 4; i++) await keys.PressAsync("Tab"); // over the fields of the form to the first alternative
        await Expect(page["#filled fieldset button"].First).ToBeFocusedAsync();
        await page.PictureAsync("keyboard");
        await keys.PressAsync("Enter");
        await Expect(page["#filled fieldset"]).ToHaveCountAsync(0);
        await page["#tab-fill"].FocusAsync();
        await keys.PressAsync("End");
        await Expect(page["#info"]).ToBeVisibleAsync();
        await keys.PressAsync("ArrowRight");
        await Expect(page["#tab-chat"]).ToBeFocusedAsync();
        Assert.Empty(page.Problems);
    }

    [ChromiumFact]
    public async Task It_speaks_Chinese_and_fits_a_phone()
    {
        await using var page = await chromium.OpenAsync(server.Address, width: 360, height: 740);
        foreach (string language in new[] { "en", "zh" })
        {
            await Expect(page["html"]).ToHaveAttributeAsync("lang", language);
            foreach (string view in new[] { "chat", "fill", "write", "tokens", "info" })
            {
                await page.ChooseAsync(view == "chat" ? "chat" : "blanks", view);
                await Expect(page[$"#{view}"]).ToBeVisibleAsync();
                if (view is "fill" or "write" or "tokens") await page[$"#{view}-form .main"].ClickAsync();
                if (view == "fill") await Expect(page["#filled fieldset"]).ToHaveCountAsync(2);
                if (view == "write") await Expect(page["#written .token"].Nth(10)).ToBeVisibleAsync();
                if (view == "tokens") await Expect(page["#shown .token sub"].First).ToBeVisibleAsync();
                if (view == "info") await Expect(page["#facts tr"].Nth(8)).ToBeVisibleAsync();
                if (view is "fill" or "write") await Expect(page[$"#{view}-form .main"]).Not.ToHaveTextAsync(language == "en" ? "Stop" : "停止");
                // What a token tells has room on both sides.
                if (view is "write") foreach (int token in Enumerable.Range(1, 8)) await page["#written .token"].Nth(token).FocusAsync();
                Assert.True(await page.FitsAsync(), $"{view} in {language} is wider than the window");
                await page.PictureAsync($"phone-{language}-{view}");
            }
            // Everything that can be used has a name.
            Assert.Equal("", await page.Page.EvaluateAsync<string>("[...document.querySelectorAll('button, input, textarea, select')].filter(e => !(e.labels?.[0]?.textContent.trim() || e.textContent.trim() || e.ariaLabel)).map(e => e.id).join()"));
            Assert.Equal("", await page.Page.EvaluateAsync<string>("[...document.querySelectorAll('[data-word]')].filter(e => !e.textContent.trim()).map(e => e.dataset.word).join()"));
            await page["#language"].ClickAsync();
        }
        Assert.Empty(page.Problems);
    }

    [ChromiumFact]
    public async Task A_long_chat_stays_at_its_end_unless_someone_reads_above()
    {
        await using var page = await chromium.OpenAsync(server.Address, colours: ColorScheme.Dark);
        await AnswersMatchAsync(page, "(w\n){60}");
        await page["#say"].FillAsync("Hello");
        await page["#say"].PressAsync("Enter");
        await Expect(page["#chat-form .main"]).ToHaveTextAsync("Send");
        Assert.True(await page.Page.EvaluateAsync<bool>("scrollY > 300 && scrollY + innerHeight >= document.documentElement.scrollHeight - 1"));
        await page.PictureAsync("dark-long-chat");
        await page["#say"].FillAsync("Again");
        await page["#say"].PressAsync("Enter");
        await Expect(page["#messages li.assistant"]).ToHaveCountAsync(2);
        await page.Page.EvaluateAsync("scrollTo(0, 0)");
        await Expect(page["#messages li.assistant span"].Nth(1)).ToHaveTextAsync(new Regex(@"(w\s*){60}"));
        await Expect(page["#chat-form .main"]).ToHaveTextAsync("Send");
        Assert.Equal(0, await page.Page.EvaluateAsync<int>("scrollY"));
        Assert.Empty(page.Problems);
    }

    [ChromiumFact]
    public async Task Long_words_do_not_widen_it()
    {
        await using var page = await chromium.OpenAsync(server.Address, width: 360, height: 740, ColorScheme.Dark);
        await AnswersMatchAsync(page, "x{300}");
        await page["#say"].FillAsync(new string('y', 300));
        await page["#chat-form .main"].ClickAsync();
        await Expect(page["#messages li.assistant span"]).ToHaveTextAsync(new string('x', 300));
        Assert.True(await page.FitsAsync());
        await page.PictureAsync("phone-dark-long");
        await page.ChooseAsync("blanks", "write");
        await page["#write-form .main"].ClickAsync();
        await Expect(page["#written .token"].Nth(10)).ToBeVisibleAsync();
        await page.PictureAsync("phone-dark-write");
        Assert.Empty(page.Problems);
    }

    /// <summary>Presses the button as soon as an answer has a few letters, within the page: however fast the answer comes, it is not whole then. What the button said is kept in data-pressed.</summary>
    private static Task StopAtFirstWordsAsync(BrowserPage page) => page.Page.EvaluateAsync("""
        new MutationObserver((_, observer) => {
          if ((document.querySelector('#messages li.assistant span')?.textContent ?? '').length < 5) return;
          observer.disconnect();
          const button = document.querySelector('#chat-form .main');
          document.body.dataset.pressed = button.textContent;
          button.click();
        }).observe(document.querySelector('#messages'), { childList: true, subtree: true, characterData: true });
        """);

    /// <summary>A random model may end at once, or say anything; like this its answers are known.</summary>
    private static Task AnswersMatchAsync(BrowserPage page, string pattern) => page.Page.RouteAsync("**/v1/chat/completions", route =>
    {
        var body = JsonNode.Parse(route.Request.PostData!)!;
        body["response_format"] = new JsonObject { ["type"] = "regex", ["pattern"] = pattern };
        return route.ContinueAsync(new() { PostData = System.Text.Encoding.UTF8.GetBytes(body.ToJsonString()) });
    });
}
