namespace Glm.Cli.Tests;

/// <summary>A tiny vocabulary, trained once through the command itself.</summary>
public sealed class Vocabulary : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public Vocabulary() : this(TinyText.VocabularySize) { }

    internal Vocabulary(int size) =>
        CommandRun.Of("tokenize", "train", _folder.Write("text.jsonl", TinyText.JsonLines(40)), "--size", $"{size}", "--output", Path, "--quiet").Success();

    public string Path => _folder["tokenizer.model"];

    public void Dispose() => _folder.Dispose();
}
