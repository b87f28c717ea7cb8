namespace Glm.Server.Tests;

/// <summary>The page, used as a person uses it.</summary>
public sealed class PageTests(RunningServer server) : IClassFixture<RunningServer>
{
    [ChromiumFact]
    public async Task A_chat_streams_stops_and_answers_anew()
    {
        await using var page = await Chromium.OpenAsync(server.Address);
        await page.UntilAsync("document.querySelector('#tab-chat').ariaSelected === 'true'");
        // A random model may end at once; with this it has a lot to say.
        await page.RunAsync("""const send = fetch; fetch = (path, how) => send(path, how.body ? { ...how, body: JSON.stringify({ ...JSON.parse(how.body), response_format: { type: 'regex', pattern: '([a-z ]{1000}){3}' } }) } : how)""");
        await page.RunAsync("document.querySelector('#say').focus()");
        await page.TypeAsync("Hello <b>you</b>");
        await page.PressAsync("Enter", 13, "\r");
        await page.UntilAsync("document.querySelector('#messages li.assistant span')?.textContent.length > 5");
        await page.UntilAsync("document.querySelector('#chat-form .main').textContent === 'Stop'");
        await page.RunAsync("document.querySelector('#chat-form .main').click()");
        await page.UntilAsync("document.querySelector('#chat-form .main').textContent === 'Send'");
        Assert.Equal("Hello <b>you</b>", (string?)await page.RunAsync("document.querySelector('#messages li.user span').textContent"));
        await page.PictureAsync("chat");
        await page.RunAsync("document.querySelector('#regenerate').click()");
        await page.UntilAsync("document.querySelector('#messages li.assistant span')?.textContent.length > 5");
        Assert.Equal(2, (int?)await page.RunAsync("document.querySelectorAll('#messages li').length"));
        await page.RunAsync("document.querySelector('#clear').click()");
        await page.UntilAsync("document.querySelectorAll('#messages li').length === 0");
        Assert.Equal("", page.Problems);
    }

    [ChromiumFact]
    public async Task Blanks_show_alternatives_that_can_be_chosen()
    {
        await using var page = await Chromium.OpenAsync(server.Address);
        await ChooseAsync(page, "blanks", "fill");
        await page.RunAsync("document.querySelector('#fill-form').requestSubmit()");
        await page.UntilAsync("document.querySelectorAll('#filled fieldset').length === 2");
        Assert.Equal(10, (int?)await page.RunAsync("document.querySelectorAll('#filled fieldset button').length"));
        await page.PictureAsync("fill");
        string? other = (string?)await page.RunAsync("document.querySelectorAll('#filled fieldset button')[1].firstChild.textContent");
        await page.RunAsync("document.querySelectorAll('#filled fieldset button')[1].click()");
        await page.UntilAsync("document.querySelectorAll('#filled fieldset').length === 1");
        if (other != "(nothing)") Assert.Contains(other!, (string?)await page.RunAsync("document.querySelector('#blanks').value"));
        Assert.Equal("", page.Problems);
    }

    [ChromiumFact]
    public async Task Tokens_have_colours_and_ids()
    {
        await using var page = await Chromium.OpenAsync(server.Address);
        await ChooseAsync(page, "blanks", "write");
        await page.RunAsync("document.querySelector('#write-form').requestSubmit()");
        await page.UntilAsync("document.querySelectorAll('#written .token').length > 20 && document.querySelector('#write-form .main').textContent === 'Go on'");
        await page.PictureAsync("write");
        await ChooseAsync(page, "blanks", "tokens");
        await page.RunAsync("document.querySelector('#tokens-form').requestSubmit()");
        await page.UntilAsync("document.querySelectorAll('#shown .token sub').length > 3 && /bits/.test(document.querySelector('#summary').textContent)");
        Assert.Equal("The old house at the end of the street", ((string?)await page.RunAsync("[...document.querySelectorAll('#shown .token')].map(t => t.firstChild.textContent).join('')"))!.Trim());
        await page.PictureAsync("tokens");
        Assert.Equal("", page.Problems);
    }

    [ChromiumFact]
    public async Task It_speaks_Chinese_and_fits_a_phone_and_the_keyboard()
    {
        await using var page = await Chromium.OpenAsync(server.Address, width: 390, height: 800);
        await ChooseAsync(page, "blanks", "fill");
        await page.RunAsync("document.querySelector('#language').click()");
        await page.RunAsync("document.querySelector('#fill-form').requestSubmit()");
        await page.UntilAsync("document.querySelectorAll('#filled fieldset').length === 2 && document.querySelector('#fill-form .main').textContent === '填空'");
        Assert.Equal("zh", (string?)await page.RunAsync("document.documentElement.lang"));
        Assert.True((bool?)await page.RunAsync("document.documentElement.scrollWidth <= innerWidth"));
        await page.PictureAsync("phone-zh");
        // The arrow keys go from view to view.
        await page.RunAsync("document.querySelector('#tab-fill').focus()");
        for (int i = 0; i < 3; i++) await page.PressAsync("ArrowRight", 39);
        await page.UntilAsync("!document.querySelector('#info').hidden && document.querySelectorAll('#facts tr').length > 8 && document.activeElement.id === 'tab-info'");
        await page.PictureAsync("info-zh");
        // Everything that can be used has a name, in both languages.
        for (int i = 0; i < 2; i++)
        {
            Assert.Equal("", (string?)await page.RunAsync("[...document.querySelectorAll('button, input, textarea, select')].filter(e => !(e.labels?.[0]?.textContent.trim() || e.textContent.trim() || e.ariaLabel)).map(e => e.id).join()"));
            Assert.Equal("", (string?)await page.RunAsync("[...document.querySelectorAll('[data-word]')].filter(e => !e.textContent.trim()).map(e => e.dataset.word).join()"));
            await page.RunAsync("document.querySelector('#language').click()");
        }
        Assert.Equal("", page.Problems);
    }

    private static async Task ChooseAsync(Chromium page, string model, string view)
    {
        await page.UntilAsync("document.querySelector('#model').options.length === 2");
        await page.RunAsync($"document.querySelector('#model').value = '{model}'; document.querySelector('#model').dispatchEvent(new Event('change')); document.querySelector('#tab-{view}').click()");
    }
}
