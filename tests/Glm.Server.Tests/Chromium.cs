using System.Collections.Concurrent;
using Microsoft.Playwright;

namespace Glm.Server.Tests;

/// <summary>Debian's Chromium without a window, driven by Playwright; it starts with the first page.</summary>
public sealed class Chromium : IAsyncLifetime
{
    private readonly SemaphoreSlim _starting = new(1);
    private IPlaywright? _playwright;
    private IBrowser? _browser;

    /// <summary>Where it is installed; null if it is not.</summary>
    public static string? Program => new[] { "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome" }.FirstOrDefault(File.Exists);

    /// <summary>Opens a page in a profile of its own.</summary>
    public async Task<BrowserPage> OpenAsync(Uri address, int width = 1000, int height = 900, ColorScheme colours = ColorScheme.Light)
    {
        await _starting.WaitAsync();
        try
        {
            _playwright ??= await Playwright.CreateAsync();
            _browser ??= await _playwright.Chromium.LaunchAsync(new() { ExecutablePath = Program, Args = ["--disable-dev-shm-usage"] });
        }
        finally
        {
            _starting.Release();
        }
        var profile = await _browser.NewContextAsync(new()
        {
            BaseURL = address.ToString(),
            ViewportSize = new() { Width = width, Height = height },
            IsMobile = width < 600,
            HasTouch = width < 600,
            ColorScheme = colours,
            Locale = "en-US",
        });
        profile.SetDefaultTimeout(30_000);
        var page = new BrowserPage(profile, await profile.NewPageAsync());
        await page.Page.GotoAsync("/");
        return page;
    }

    public Task InitializeAsync()
    {
        Assertions.SetDefaultExpectTimeout(30_000);
        return Task.CompletedTask;
    }

    public async Task DisposeAsync()
    {
        if (_browser is not null) await _browser.DisposeAsync();
        _playwright?.Dispose();
        _starting.Dispose();
    }
}

/// <summary>A page, and what its scripts or its security policy complained of.</summary>
public sealed class BrowserPage : IAsyncDisposable
{
    private readonly IBrowserContext _profile;
    private readonly ConcurrentQueue<string> _problems = new();

    internal BrowserPage(IBrowserContext profile, IPage page)
    {
        (_profile, Page) = (profile, page);
        page.PageError += (_, error) => _problems.Enqueue(error);
        page.Console += (_, message) =>
        {
            if (message.Type is "error" or "warning") _problems.Enqueue(message.Text);
        };
        page.Dialog += (_, dialog) =>
        {
            _problems.Enqueue($"a dialog says {dialog.Message}");
            _ = dialog.DismissAsync();
        };
    }

    public IPage Page { get; }

    public IReadOnlyCollection<string> Problems => _problems;

    public ILocator this[string selector] => Page.Locator(selector);

    /// <summary>Chooses a model and a view.</summary>
    public async Task ChooseAsync(string model, string view)
    {
        await Page.SelectOptionAsync("#model", model);
        await Page.ClickAsync($"#tab-{view}");
    }

    /// <summary>Whether all of the page is as wide as the window at most.</summary>
    public Task<bool> FitsAsync() => Page.EvaluateAsync<bool>("document.documentElement.scrollWidth <= innerWidth");

    /// <summary>Writes a picture of the page, where the variable GLM_SCREENSHOTS names a folder.</summary>
    public async Task PictureAsync(string name)
    {
        if (Environment.GetEnvironmentVariable("GLM_SCREENSHOTS") is { Length: > 0 } folder) await Page.ScreenshotAsync(new() { Path = Path.Combine(folder, name + ".png") });
    }

    public async ValueTask DisposeAsync() => await _profile.DisposeAsync();
}

/// <summary>A test that needs Chromium.</summary>
internal sealed class ChromiumFactAttribute : FactAttribute
{
    public ChromiumFactAttribute()
    {
        if (Chromium.Program is null) Skip = "chromium is absent (apt install chromium)";
    }
}
