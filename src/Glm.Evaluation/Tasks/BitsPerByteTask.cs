using System.Security.Cryptography;
using System.Text;

namespace Glm.Evaluation;

/// <summary>
/// The task without a file: how well a model compresses the documents of some text files. Bits per byte = nats / (ln 2 x UTF-8 bytes), every document on its own and
/// every token scored once, in windows of the model's length of which half is context (spec 8.6).
/// </summary>
public static class BitsPerByteTask
{
    /// <summary>Its name.</summary>
    public const string Name = "bits-per-byte";

    /// <summary>The task over a file, <c>.txt</c> (one document) or <c>.jsonl</c> (field <c>text</c>), plain or compressed; or over those of a folder that match a pattern.</summary>
    /// <param name="path">The file or folder.</param>
    /// <param name="pattern">The pattern.</param>
    public static TaskDefinition Over(string path, string pattern)
    {
        bool isFolder = Directory.Exists(path);
        string full = Path.GetFullPath(path), name = isFolder ? pattern : DataReader.PlainName(Path.GetFileName(full));
        if (!isFolder && !File.Exists(path)) throw new GlmException($"{path}: no such file or folder");
        return new TaskDefinition
        {
            File = path,
            Name = Name,
            Title = Name,
            Version = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{Name} 1")))[..16],
            Kind = TaskKind.LanguageModeling,
            Path = isFolder ? full : Path.GetDirectoryName(full)!,
            Groups = [("all", [name])],
            Metrics = ["bits_per_byte"],
            Reading = new ReadingOptions { UseTaskMask = true },
        };
    }

    /// <summary>Bits per byte of the same documents under a model that knows frequencies alone.</summary>
    /// <param name="task">The task.</param>
    /// <param name="options">What is run of it.</param>
    /// <param name="unigram">The model.</param>
    /// <param name="tokenizer">Makes tokens of documents.</param>
    public static double Of(TaskDefinition task, TaskOptions options, UnigramModel unigram, Tokenizers.Tokenizer tokenizer)
    {
        var items = TaskData.Load(task, options.Data, limit: options.Limit).Files.SelectMany(file => file.Items).ToList();
        return items.Sum(item => unigram.Nats(tokenizer.Encode(item.Prompt.Text!))) / Math.Log(2) / items.Sum(item => item.Bytes);
    }
}
