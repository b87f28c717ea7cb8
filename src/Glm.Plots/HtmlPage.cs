using System.Security.Cryptography;
using System.Text;

namespace Glm.Plots;

/// <summary>
/// A page in one file: styles, drawings and a script of its own, nothing from elsewhere (a content security policy keeps it so). Readable in
/// light and dark, on a phone, on paper, without the script, and by ear. All texts are escaped.
/// </summary>
/// <param name="title">Title and first heading.</param>
public sealed class HtmlPage(string title)
{
    private static readonly string Style = Palette.Style + Asset("page.css"), Script = Asset("plot.js");

    private readonly MarkupWriter _body = new();

    /// <summary>A heading.</summary>
    /// <param name="level">2 to 6.</param>
    /// <param name="text">What it says.</param>
    /// <param name="id">What links lead to it by.</param>
    /// <param name="chinese">The same in Chinese, where it has a name there.</param>
    public HtmlPage Heading(int level, string text, string? id = null, string? chinese = null)
    {
        _body.Open($"h{Math.Clamp(level, 2, 6)}", ("id", id)).Text(text);
        if (chinese is not null) _body.Text(" ").Element("span", chinese, ("lang", "zh"));
        _body.Close().Line();
        return this;
    }

    /// <summary>A paragraph.</summary>
    public HtmlPage Paragraph(string text)
    {
        _body.Element("p", text).Line();
        return this;
    }

    /// <summary>A smaller paragraph: sources, remarks.</summary>
    public HtmlPage Note(string text)
    {
        _body.Element("p", text, ("class", "note")).Line();
        return this;
    }

    /// <summary>Lines as a terminal shows them.</summary>
    public HtmlPage Code(string text)
    {
        _body.Open("pre", ("tabindex", 0)).Element("code", text).Close().Line();
        return this;
    }

    /// <summary>A list of links to headings of this page.</summary>
    public HtmlPage Contents(IEnumerable<(string Text, string Id)> links)
    {
        _body.Open("nav", ("aria-label", "Contents")).Open("ul").Line();
        foreach (var (text, id) in links) _body.Open("li").Element("a", text, ("href", "#" + id)).Close().Line();
        _body.Close().Close().Line();
        return this;
    }

    /// <summary>A table; wide ones scroll by themselves.</summary>
    public HtmlPage Table(HtmlTable table)
    {
        table.Write(_body);
        return this;
    }

    /// <summary>A picture, drawn once for wide and once for narrow screens.</summary>
    public HtmlPage Figure(Plot plot)
    {
        _body.Open("figure").Line();
        plot.Draw(_body, Plot.Wide, standalone: false);
        plot.Draw(_body.Line(), Plot.Narrow, standalone: false);
        if (plot.Data is { } data) _body.Line().Open("script", ("type", "application/json")).Raw(data).Close(); // the serialiser escapes < and >
        _body.Line().Close().Line();
        return this;
    }

    /// <summary>A part that is opened by who wants it.</summary>
    public HtmlPage Details(string summary, Action<HtmlPage> content)
    {
        _body.Open("details").Element("summary", summary).Line();
        content(this);
        _body.Close().Line();
        return this;
    }

    /// <summary>The whole file.</summary>
    public override string ToString()
    {
        string hash = Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(Script)));
        return new MarkupWriter().Raw("<!doctype html>\n").Open("html", ("lang", "en")).Open("head").Line()
            .Empty("meta", ("charset", "utf-8")).Line()
            .Empty("meta", ("http-equiv", "Content-Security-Policy"), ("content", $"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'")).Line()
            .Empty("meta", ("name", "viewport"), ("content", "width=device-width, initial-scale=1")).Line()
            .Empty("meta", ("name", "color-scheme"), ("content", "light dark")).Line()
            .Element("title", title).Line()
            .Open("style").Raw(Style).Close().Line().Close().Line()
            .Open("body").Open("main").Line().Element("h1", title).Line()
            .Raw(_body.ToString()).Close().Line()
            .Open("script").Raw(Script).Close().Line().Close().Close().Line().ToString();
    }

    private static string Asset(string name)
    {
        using var reader = new StreamReader(typeof(HtmlPage).Assembly.GetManifestResourceStream(name)!);
        return reader.ReadToEnd();
    }
}
