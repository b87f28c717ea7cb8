using Glm.Training;

namespace Glm.Evaluation;

/// <summary>The texts of evaluation files, with what could not be read noted as errors.</summary>
internal static class EvaluationTexts
{
    private const int LongestDocument = 16 << 20;

    /// <summary>The documents of files and folders, <c>.jsonl</c> or <c>.txt</c>, plain or compressed.</summary>
    public static IEnumerable<string> Read(IReadOnlyList<string> paths, string field, List<string> errors)
    {
        foreach (string file in InputFile.Expand(paths))
            foreach (var document in new DocumentReader(file, field, LongestDocument).Read())
            {
                if (document.Text is { } text) yield return text;
                else errors.Add($"{file}: line {document.Line}: {document.Fault}");
            }
    }

    /// <summary>As <see cref="Read"/>, but every line of a text file is an item of its own.</summary>
    public static IEnumerable<string> ReadItems(string path, string field, List<string> errors)
    {
        var texts = Read([path], field, errors);
        return InputFile.IsJsonLines(path) ? texts : texts.SelectMany(text => text.Split('\n')).Where(line => !string.IsNullOrWhiteSpace(line));
    }
}
