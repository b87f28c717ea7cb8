using System.Diagnostics;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json.Nodes;

namespace Glm.Server.Tests;

/// <summary>Debian's Chromium without a window, driven by its own protocol: one page in which scripts run and keys are pressed.</summary>
internal sealed class Chromium : IAsyncDisposable
{
    private readonly Process _process;
    private readonly string _profile;
    private readonly ClientWebSocket _socket = new();
    private readonly StringBuilder _problems = new();
    private int _calls;

    private Chromium(Process process, string profile) => (_process, _profile) = (process, profile);

    /// <summary>Where it is installed; null if it is not.</summary>
    public static string? Program => new[] { "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome" }.FirstOrDefault(File.Exists);

    /// <summary>What scripts of the page, or its security policy, complained of.</summary>
    public string Problems => _problems.ToString();

    public static async Task<Chromium> OpenAsync(Uri address, int width = 1000, int height = 900)
    {
        string profile = Directory.CreateTempSubdirectory("glm-chromium-").FullName;
        var start = new ProcessStartInfo(Program!, [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--lang=en-US", $"--user-data-dir={profile}", "--remote-debugging-port=0", $"--window-size={width},{height}", "about:blank"])
        { RedirectStandardError = true, RedirectStandardOutput = true };
        var browser = new Chromium(Process.Start(start)!, profile);
        string port = Path.Combine(profile, "DevToolsActivePort");
        for (int i = 0; i < 600 && !(File.Exists(port) && File.ReadAllLines(port).Length > 1); i++) await Task.Delay(100);
        using var http = new HttpClient();
        JsonNode? page = null;
        for (int i = 0; i < 100 && page is null; i++, await Task.Delay(100))
            page = JsonNode.Parse(await http.GetStringAsync($"http://127.0.0.1:{File.ReadAllLines(port)[0]}/json"))!.AsArray().FirstOrDefault(target => (string)target!["type"]! == "page");
        await browser._socket.ConnectAsync(new Uri((string)page!["webSocketDebuggerUrl"]!), default);
        foreach (string domain in new[] { "Runtime.enable", "Log.enable", "Page.enable" }) await browser.CallAsync(domain);
        await browser.CallAsync("Emulation.setDeviceMetricsOverride", new JsonObject { ["width"] = width, ["height"] = height, ["deviceScaleFactor"] = 1, ["mobile"] = width < 600 });
        await browser.CallAsync("Page.navigate", new JsonObject { ["url"] = address.ToString() });
        return browser;
    }

    /// <summary>Runs a script and gives its value.</summary>
    public async Task<JsonNode?> RunAsync(string script)
    {
        var answer = await CallAsync("Runtime.evaluate", new JsonObject { ["expression"] = script, ["awaitPromise"] = true, ["returnByValue"] = true });
        if (answer["exceptionDetails"] is { } error) throw new InvalidOperationException(error.ToJsonString());
        return answer["result"]?["value"];
    }

    /// <summary>Waits until a script says true.</summary>
    public async Task UntilAsync(string script)
    {
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < TimeSpan.FromSeconds(60); await Task.Delay(50))
            if (await RunAsync($"document.readyState === 'complete' && Boolean({script})") is JsonValue value && value.GetValue<bool>()) return;
        Assert.Fail($"never true: {script}; {Problems}; {await RunAsync("document.body.innerText")}");
    }

    /// <summary>Types a text into what has the focus.</summary>
    public Task TypeAsync(string text) => CallAsync("Input.insertText", new JsonObject { ["text"] = text });

    /// <summary>Presses a key.</summary>
    public async Task PressAsync(string key, int code, string? text = null)
    {
        foreach (string type in new[] { "keyDown", "keyUp" })
        {
            var parameters = new JsonObject { ["type"] = type, ["key"] = key, ["code"] = key, ["windowsVirtualKeyCode"] = code };
            if (type == "keyDown" && text is not null) parameters["text"] = text;
            await CallAsync("Input.dispatchKeyEvent", parameters);
        }
    }

    /// <summary>Writes a picture of the page, where the variable GLM_SCREENSHOTS names a folder.</summary>
    public async Task PictureAsync(string name)
    {
        if (Environment.GetEnvironmentVariable("GLM_SCREENSHOTS") is not { Length: > 0 } folder) return;
        var answer = await CallAsync("Page.captureScreenshot", new JsonObject { ["format"] = "png" });
        File.WriteAllBytes(Path.Combine(folder, name + ".png"), Convert.FromBase64String((string)answer["data"]!));
    }

    private async Task<JsonNode> CallAsync(string method, JsonObject? parameters = null)
    {
        int id = ++_calls;
        string call = new JsonObject { ["id"] = id, ["method"] = method, ["params"] = parameters ?? [] }.ToJsonString();
        await _socket.SendAsync(Encoding.UTF8.GetBytes(call), WebSocketMessageType.Text, true, default);
        while (true)
        {
            var message = await ReceiveAsync();
            if ((int?)message["id"] == id) return message["result"] ?? throw new InvalidOperationException(message.ToJsonString());
            string what = (string?)message["method"] ?? "";
            if (what == "Runtime.exceptionThrown" || (what == "Log.entryAdded" && (string?)message["params"]!["entry"]!["source"] is "security" or "javascript")) _problems.AppendLine(message.ToJsonString());
        }
    }

    private async Task<JsonNode> ReceiveAsync()
    {
        using var memory = new MemoryStream();
        byte[] buffer = new byte[1 << 16];
        while (true)
        {
            var part = await _socket.ReceiveAsync(buffer, default);
            memory.Write(buffer, 0, part.Count);
            if (part.EndOfMessage) return JsonNode.Parse(memory.ToArray())!;
        }
    }

    public async ValueTask DisposeAsync()
    {
        _socket.Dispose();
        _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
        _process.Dispose();
        try
        {
            Directory.Delete(_profile, recursive: true);
        }
        catch (IOException)
        {
            // A helper of the browser may still write for a moment; the folder is a temporary one.
        }
    }
}

/// <summary>A test that needs Chromium.</summary>
internal sealed class ChromiumFactAttribute : FactAttribute
{
    public ChromiumFactAttribute()
    {
        if (Chromium.Program is null) Skip = "chromium is absent (apt install chromium)";
    }
}
