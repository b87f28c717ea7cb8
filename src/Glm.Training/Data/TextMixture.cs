namespace Glm.Training;

/// <summary>Texts of several files, as a vocabulary is trained on them.</summary>
public static class TextMixture
{
    /// <summary>
    /// The documents of files and folders as <see cref="DataPreparer.Prepare"/> reads them, without what is faulty: always the next one of the input that has given the
    /// fewest characters so far, so that inputs of different sizes weigh the same while they last.
    /// </summary>
    /// <exception cref="GlmException">A path does not exist or cannot be read to its end.</exception>
    public static IEnumerable<string> Read(IReadOnlyList<string> inputs, string textField)
    {
        const int LongestDocument = 16 << 20;
        var sources = InputFile.Expand(inputs)
            .Select(file => new Source(new DocumentReader(file, textField, LongestDocument).Read().Where(document => document.Text is not null).GetEnumerator())).ToList();
        try
        {
            while (sources.MinBy(source => source.Characters) is { } next)
            {
                if (!next.Documents.MoveNext())
                {
                    next.Documents.Dispose();
                    sources.Remove(next);
                    continue;
                }
                string text = next.Documents.Current.Text!;
                next.Characters += text.Length;
                yield return text;
            }
        }
        finally
        {
            foreach (var source in sources) source.Documents.Dispose();
        }
    }

    private sealed class Source(IEnumerator<DocumentText> documents)
    {
        public IEnumerator<DocumentText> Documents { get; } = documents;

        public long Characters { get; set; }
    }
}
