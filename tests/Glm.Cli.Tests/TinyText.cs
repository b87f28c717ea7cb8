using System.Text;

namespace Glm.Cli.Tests;

/// <summary>Text enough, in both languages, to train a vocabulary of a few hundred pieces on.</summary>
internal static class TinyText
{
    public const int VocabularySize = 480;

    private static readonly string[] Who = ["The old farmer", "A small child", "My teacher", "The river", "Nobody"];
    private static readonly string[] Does = ["looks at", "remembers", "walks along", "paints", "sings about"];
    private static readonly string[] What = ["the green hills", "a bridge of stone", "the morning market", "an empty boat", "the winter sea"];
    private static readonly string[] Chinese = ["小河流过村庄。", "老师在看书。", "孩子们唱歌。", "春天来了，花开了。", "他走过石桥。"];

    public static string Document(int seed)
    {
        var text = new StringBuilder();
        for (int i = seed; i < seed + 12; i++)
            text.Append($"{Who[i % 5]} {Does[i / 5 % 5]} {What[(i + (i / 25)) % 5]}. {Chinese[(i * 3) % 5]}");
        return text.ToString();
    }

    /// <summary>JSON lines of several documents.</summary>
    public static string JsonLines(int documents) =>
        string.Concat(Enumerable.Range(0, documents).Select(i => $"{{\"text\": \"{Document(7 * i)}\"}}\n"));
}
